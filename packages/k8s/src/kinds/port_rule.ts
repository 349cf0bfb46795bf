import { isScalar } from 'yaml';
import { list, stringMap } from '../schema/collections.ts';
import { checked, mapped } from '../schema/derived.ts';
import { object, optional, withDefault } from '../schema/object.ts';
import type { Schema } from '../schema/schema.ts';
import { int32, integer, string, text, wordText } from '../schema/values.ts';
import type {
  FQDNSelector,
  HeaderMatch,
  L7Rules,
  Listener,
  PortProtocol,
  PortRule,
  PortRuleHTTP,
  PortRuleKafka,
  SecretRef,
  TLSContext,
} from '../types.ts';
import { quoted } from '../words.ts';
import { emptyText } from './meta.ts';

// Source of the shapes: pkg/policy/api/{l4,l7,http,kafka,fqdn}.go.

const MAX_UINT8 = 255;
const noNumber = withDefault(int32, () => 0);

/** A number here is the most frequent slip: Cilium wants a text. */
const portText: Schema<string> = {
  decode(node, place) {
    if (isScalar(node) && typeof node.value === 'number')
      return place.report(node, `want a string, found the number ${node.source}; write it in quotes: "${node.source}"`);
    return string.decode(node, place);
  },
};

const portProtocol: Schema<PortProtocol> = object({
  port: withDefault(portText, () => ''),
  endPort: noNumber,
  protocol: emptyText,
});

const secret: Schema<SecretRef> = object({ namespace: emptyText, name: emptyText });

const headerMatch: Schema<HeaderMatch> = object({
  mismatch: withDefault(wordText(['LOG', 'ADD', 'DELETE', 'REPLACE']), () => ''),
  name: emptyText,
  secret: optional(secret),
  value: emptyText,
});

const httpRule: Schema<PortRuleHTTP> = object({
  path: emptyText,
  method: emptyText,
  host: emptyText,
  headers: optional(list(string)),
  headerMatches: optional(list(headerMatch)),
});

const kafkaRule: Schema<PortRuleKafka> = object({
  role: emptyText,
  apiKey: emptyText,
  apiVersion: emptyText,
  clientID: emptyText,
  topic: emptyText,
});

export const fqdnSelector: Schema<FQDNSelector> = object({ matchName: emptyText, matchPattern: emptyText });

const dnsRule = checked(fqdnSelector, ({ matchName, matchPattern }, fail) => {
  if (matchName === '' && matchPattern === '') fail('missing required field "matchName" (or "matchPattern")');
});

const l7Rules: Schema<L7Rules> = object({
  http: optional(list(httpRule)),
  kafka: optional(list(kafkaRule)),
  dns: optional(list(dnsRule)),
  l7proto: emptyText,
  l7: optional(list(stringMap())),
});

const tlsContext: Schema<TLSContext> = object({
  secret: optional(secret),
  trustedCA: emptyText,
  certificate: emptyText,
  privateKey: emptyText,
});

/** An empty one is refused by the policy itself. */
const SERVER_NAME = /^(?:(?:\*?\*\.)?[-a-zA-Z0-9_]+(?:\.[-a-zA-Z0-9_]+)*\.?)?$/;
const MAX_SERVER_NAME = 255;

const serverName: Schema<string> = text((value) =>
  value.length <= MAX_SERVER_NAME && SERVER_NAME.test(value)
    ? undefined
    : `${quoted(value)} is no name of a server: want letters, digits, '-', '_' and dots; '*.' or '**.' only before them`,
);

const listener: Schema<Listener> = checked(
  object({
    envoyConfig: optional(
      object({
        kind: withDefault(wordText(['CiliumEnvoyConfig', 'CiliumClusterwideEnvoyConfig']), () => ''),
        name: emptyText,
      }),
    ),
    name: emptyText,
    priority: withDefault(
      checked(integer(0, MAX_UINT8), (value, fail) => {
        if (value < 1) fail('want a number from 1 to 100, found the number 0');
      }),
      () => 0,
    ),
  }),
  ({ name }, fail) => {
    if (name === '') fail('missing required field "name"');
  },
);

export const portRule: Schema<PortRule> = object({
  ports: optional(list(portProtocol)),
  terminatingTLS: optional(tlsContext),
  originatingTLS: optional(tlsContext),
  serverNames: optional(list(serverName)),
  listener: optional(listener),
  rules: optional(l7Rules),
});

/** Deny rules know ports only. */
export const denyPortRule: Schema<PortRule> = mapped(object({ ports: optional(list(portProtocol)) }), ({ ports }) => ({
  ports,
  terminatingTLS: undefined,
  originatingTLS: undefined,
  serverNames: undefined,
  listener: undefined,
  rules: undefined,
}));
