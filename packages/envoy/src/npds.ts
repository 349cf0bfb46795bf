import type { KafkaNetworkPolicyRule } from './kafka/rules.ts';
import { decodeMessage, encodeMessage } from './npds_schema.ts';

/** Of every resource in an NPDS response. */
export const NETWORK_POLICY_TYPE_URL = 'type.googleapis.com/cilium.NetworkPolicy';
/** Of every resource in an SDS response. */
export const SECRET_TYPE_URL = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret';

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

/** The fields after `upstreamTlsContext` are on the wire but not modelled: the proxy refuses a message that sets one. */
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
  /** Names that a TLS client may ask for, see `compileServerName`; none: any, and clients without TLS. */
  readonly serverNames?: readonly string[];
  /** A TLS client's TLS ends at the proxy. */
  readonly downstreamTlsContext?: TlsContextConfig;
  /** The proxy speaks TLS to the server of a TLS client. */
  readonly upstreamTlsContext?: TlsContextConfig;
  readonly passPrecedence?: number;
  readonly precedence?: number;
  readonly deny?: boolean;
  readonly proxyId?: number;
  readonly l7Rules?: object;
}

/** `cilium.TLSContext`: one side of TLS, its parts given, or by names of secrets, which then count. Texts are PEM. */
export interface TlsContextConfig {
  readonly trustedCa?: string;
  readonly certificateChain?: string;
  readonly privateKey?: string;
  /** Upstream: at most one, asked of the server. */
  readonly serverNames?: readonly string[];
  readonly validationContextSdsSecret?: string;
  readonly tlsSdsSecret?: string;
  readonly alpnProtocols?: readonly string[];
}

/** `envoy.extensions.transport_sockets.tls.v3.Secret`, of two kinds; texts are PEM. */
export interface Secret {
  readonly name: string;
  readonly tlsCertificate?: { readonly certificateChain?: string; readonly privateKey?: string };
  readonly validationContext?: { readonly trustedCa?: string };
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

/** `envoy.service.discovery.v3.DiscoveryResponse`: all policies, or all secrets, that are in force from this version on. */
export interface DiscoveryResponse {
  readonly versionInfo: string;
  readonly nonce: string;
  /** undefined: the response is about secrets. */
  readonly policies?: readonly NetworkPolicy[];
  readonly secrets?: readonly Secret[];
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
export const encodeDiscoveryResponse = (version: string, policies: readonly NetworkPolicy[]): Uint8Array =>
  encodeResponse(
    version,
    NETWORK_POLICY_TYPE_URL,
    policies.map((policy) => encodeMessage('NetworkPolicy', policy)),
  );

/** The wire bytes that put `secrets`, and no others, into force. */
export const encodeSecretsResponse = (version: string, secrets: readonly Secret[]): Uint8Array =>
  encodeResponse(
    version,
    SECRET_TYPE_URL,
    secrets.map((secret) => encodeMessage('Secret', secretToWire(secret))),
  );

const encodeResponse = (version: string, typeUrl: string, values: readonly Uint8Array[]): Uint8Array =>
  encodeMessage('DiscoveryResponse', {
    ...{ versionInfo: version, nonce: version, typeUrl },
    resources: values.map((value) => ({ typeUrl, value })),
  });

/** @throws Error if the bytes are not such a message, or carry anything but network policies or secrets */
export function decodeDiscoveryResponse(bytes: Uint8Array): DiscoveryResponse {
  const message = decodeMessage('DiscoveryResponse', bytes) as {
    versionInfo?: string;
    typeUrl?: string;
    nonce?: string;
    resources?: { typeUrl?: string; value?: Uint8Array }[];
  };
  const wanted = message.typeUrl === SECRET_TYPE_URL ? SECRET_TYPE_URL : NETWORK_POLICY_TYPE_URL;
  const values = (message.resources ?? []).map(({ typeUrl, value }, index) => {
    if (typeUrl !== wanted) throw new Error(`resources[${index}].type_url: ${typeUrl} is not ${wanted}`);
    return value ?? new Uint8Array(0);
  });
  const { versionInfo = '', nonce = '' } = message;
  return wanted === SECRET_TYPE_URL
    ? { versionInfo, nonce, secrets: values.map((value) => secretOfWire(decodeMessage('Secret', value))) }
    : { versionInfo, nonce, policies: values.map(decodeNetworkPolicy) };
}

interface WireSource {
  readonly inlineBytes?: Uint8Array;
  readonly inlineString?: string;
}

interface WireSecret {
  readonly name?: string;
  readonly tlsCertificate?: { readonly certificateChain?: WireSource; readonly privateKey?: WireSource };
  readonly validationContext?: { readonly trustedCa?: WireSource };
}

const sourceOf = (text = ''): WireSource => ({ inlineBytes: Buffer.from(text) });
const textOf = (source: WireSource = {}): string =>
  source.inlineString ?? Buffer.from(source.inlineBytes ?? []).toString();

const secretToWire = ({ name, tlsCertificate, validationContext }: Secret): WireSecret => ({
  name,
  ...(tlsCertificate && {
    tlsCertificate: {
      certificateChain: sourceOf(tlsCertificate.certificateChain),
      privateKey: sourceOf(tlsCertificate.privateKey),
    },
  }),
  ...(validationContext && { validationContext: { trustedCa: sourceOf(validationContext.trustedCa) } }),
});

const secretOfWire = ({ name = '', tlsCertificate, validationContext }: WireSecret): Secret => ({
  name,
  ...(tlsCertificate && {
    tlsCertificate: {
      certificateChain: textOf(tlsCertificate.certificateChain),
      privateKey: textOf(tlsCertificate.privateKey),
    },
  }),
  ...(validationContext && { validationContext: { trustedCa: textOf(validationContext.trustedCa) } }),
});

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
