import type { KafkaNetworkPolicyRule } from './kafka/rules.ts';
import { decodeMessage, encodeMessage } from './npds_schema.ts';

/** Of every resource in an NPDS response. */
export const NETWORK_POLICY_TYPE_URL = 'type.googleapis.com/cilium.NetworkPolicy';

/** `cilium.NetworkPolicy`: what the proxy holds one endpoint to. Absent lists are empty, absent numbers 0. */
export interface NetworkPolicy {
  readonly endpointIps: readonly string[];
  readonly endpointId: number;
  readonly ingressPerPortPolicies?: readonly PortNetworkPolicy[];
  readonly egressPerPortPolicies?: readonly PortNetworkPolicy[];
}

export interface PortNetworkPolicy {
  /** 0: every port. */
  readonly port?: number;
  /** Last port of a range; 0: only `port`. */
  readonly endPort?: number;
  readonly protocol?: 'TCP' | 'UDP';
  /** None: everything is allowed. */
  readonly rules?: readonly PortNetworkPolicyRule[];
}

/** The fields after `kafkaRules` are on the wire but not modelled: the proxy refuses a message that sets one. */
export interface PortNetworkPolicyRule {
  /** Says in logs which rule spoke; here: the policies that it comes from. */
  readonly name?: string;
  /** Identities of the other side; none: any. */
  readonly remotePolicies?: readonly number[];
  /** Absent: any request. Never empty. */
  readonly httpRules?: HttpNetworkPolicyRules;
  /** Absent: any request, if the port has no HTTP rules. Never empty. */
  readonly kafkaRules?: KafkaNetworkPolicyRules;
  /** `kafka` beside Kafka rules; no other parser is modelled. */
  readonly l7Proto?: string;
  readonly passPrecedence?: number;
  readonly precedence?: number;
  readonly deny?: boolean;
  readonly proxyId?: number;
  readonly serverNames?: readonly string[];
  readonly downstreamTlsContext?: object;
  readonly upstreamTlsContext?: object;
  readonly l7Rules?: object;
}

/** See `kafkaAllowed`; what the wire leaves out is 0 or empty. */
export interface KafkaNetworkPolicyRules {
  readonly kafkaRules?: readonly Partial<KafkaNetworkPolicyRule>[];
}

/** A request passes if any of the rules matches. */
export interface HttpNetworkPolicyRules {
  readonly httpRules?: readonly HttpNetworkPolicyRule[];
}

/** Matches if all of its header matchers do, and then, if its header matches let it; without any it matches every request. */
export interface HttpNetworkPolicyRule {
  readonly headers?: readonly HeaderMatcher[];
  readonly headerMatches?: readonly HeaderMatch[];
}

/** What is done about a header that has, or has not, a value; '' asks for its presence. */
export interface HeaderMatch {
  readonly name: string;
  readonly value?: string;
  readonly matchAction?: 'CONTINUE_ON_MATCH' | 'FAIL_ON_MATCH' | 'DELETE_ON_MATCH';
  readonly mismatchAction?:
    | 'FAIL_ON_MISMATCH'
    | 'CONTINUE_ON_MISMATCH'
    | 'ADD_ON_MISMATCH'
    | 'DELETE_ON_MISMATCH'
    | 'REPLACE_ON_MISMATCH';
  /** Name of a secret that has the value. None is ever delivered here: `value` stands in for it. */
  readonly valueSdsSecret?: string;
}

/** `envoy.config.route.v3.HeaderMatcher`. Modelled: a string match, or presence. */
export interface HeaderMatcher {
  readonly name: string;
  readonly stringMatch?: StringMatcher;
  readonly presentMatch?: boolean;
  readonly invertMatch?: boolean;
  readonly treatMissingHeaderAsEmpty?: boolean;
  readonly exactMatch?: string;
  readonly prefixMatch?: string;
  readonly suffixMatch?: string;
  readonly containsMatch?: string;
  readonly rangeMatch?: object;
  readonly safeRegexMatch?: object;
}

/** `envoy.type.matcher.v3.StringMatcher`: one of the first five, over the whole value. */
export interface StringMatcher {
  readonly exact?: string;
  readonly prefix?: string;
  readonly suffix?: string;
  readonly contains?: string;
  readonly safeRegex?: { readonly regex?: string };
  readonly ignoreCase?: boolean;
  readonly custom?: object;
}

/** `envoy.service.discovery.v3.DiscoveryResponse`: all policies that are in force from this version on. */
export interface DiscoveryResponse {
  readonly versionInfo: string;
  readonly nonce: string;
  readonly policies: readonly NetworkPolicy[];
}

/** `envoy.service.discovery.v3.DiscoveryRequest` as an answer: an ACK, or a NACK if `errorDetail` is there. */
export interface DiscoveryRequest {
  /** The version now in force: of a NACK, the last one that was accepted, or empty. */
  readonly versionInfo: string;
  /** The nonce of the response that this answers. */
  readonly responseNonce: string;
  readonly errorDetail?: { readonly code: number; readonly message: string };
}

/** The wire bytes that put `policies`, and no others, into force. The version also serves as nonce. */
export function encodeDiscoveryResponse(version: string, policies: readonly NetworkPolicy[]): Uint8Array {
  const resources = policies.map((policy) => ({
    typeUrl: NETWORK_POLICY_TYPE_URL,
    value: encodeMessage('NetworkPolicy', policy),
  }));
  return encodeMessage('DiscoveryResponse', {
    versionInfo: version,
    nonce: version,
    typeUrl: NETWORK_POLICY_TYPE_URL,
    resources,
  });
}

/** @throws Error if the bytes are not such a message, or carry anything but network policies */
export function decodeDiscoveryResponse(bytes: Uint8Array): DiscoveryResponse {
  const message = decodeMessage('DiscoveryResponse', bytes) as {
    versionInfo?: string;
    nonce?: string;
    resources?: { typeUrl?: string; value?: Uint8Array }[];
  };
  const policies = (message.resources ?? []).map(({ typeUrl, value }, index) => {
    if (typeUrl !== NETWORK_POLICY_TYPE_URL)
      throw new Error(`resources[${index}].type_url: ${typeUrl} is not ${NETWORK_POLICY_TYPE_URL}`);
    return decodeNetworkPolicy(value ?? new Uint8Array(0));
  });
  return { versionInfo: message.versionInfo ?? '', nonce: message.nonce ?? '', policies };
}

/** @throws Error if the bytes are not such a message */
export function decodeNetworkPolicy(bytes: Uint8Array): NetworkPolicy {
  return { endpointIps: [], endpointId: 0, ...decodeMessage('NetworkPolicy', bytes) };
}

export const encodeNetworkPolicy = (policy: NetworkPolicy): Uint8Array => encodeMessage('NetworkPolicy', policy);

export const encodeDiscoveryRequest = (request: DiscoveryRequest): Uint8Array =>
  encodeMessage('DiscoveryRequest', { ...request, typeUrl: NETWORK_POLICY_TYPE_URL });

/** @throws Error if the bytes are not such a message */
export function decodeDiscoveryRequest(bytes: Uint8Array): DiscoveryRequest {
  const { errorDetail, ...rest } = decodeMessage('DiscoveryRequest', bytes) as Partial<DiscoveryRequest>;
  return {
    versionInfo: rest.versionInfo ?? '',
    responseNonce: rest.responseNonce ?? '',
    ...(errorDetail === undefined
      ? {}
      : { errorDetail: { code: errorDetail.code ?? 0, message: errorDetail.message ?? '' } }),
  };
}
