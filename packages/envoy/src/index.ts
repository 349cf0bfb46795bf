export { ProxyCore } from './core.ts';
export {
  answerWith,
  type DnsAnswer,
  type DnsQuestion,
  MAX_DNS_BYTES,
  RCODE,
  type Rcode,
  readAnswer,
  readQuestion,
} from './dns/message.ts';
export {
  type AnswerVerdict,
  type DnsAccessLog,
  type DnsExchange,
  DnsProxy,
  type DnsProxyOptions,
  type DnsRule,
  type QuestionVerdict,
} from './dns/proxy.ts';
export { ProxyError, type ProxyErrorCode } from './errors.ts';
export { type Asked, allowed, allowedAtNetwork } from './filter.ts';
export { HeaderLog, type LoggedHeader } from './header_match.ts';
export { HTTP_CONFIG, type HttpConfig } from './http_config.ts';
export { type HttpRequest, type HttpResponse, RequestDecoder, ResponseDecoder } from './http1/decoder.ts';
export type {
  Framing,
  Headers,
  HeadPlace,
  HttpError,
  RequestStart,
  ResponseStart,
} from './http1/message.ts';
export { type ParserEvent, RequestParser } from './http1/parser.ts';
export { speaksHttp2 } from './http2/preface.ts';
export { denialOf } from './kafka/denial.ts';
export { frameLength, type KafkaRequest, type KafkaTopic, readRequest } from './kafka/request.ts';
export { type KafkaNetworkPolicyRule, kafkaAllowed, kafkaRuleToNpds } from './kafka/rules.ts';
export { KafkaError } from './kafka/wire.ts';
export { encodePreamble, type Preamble, type PreambleRead, readPreamble } from './live/preamble.ts';
export type { LoggedRequest } from './live/protocol.ts';
export { ProxyServer, type ProxyServerOptions } from './live/server.ts';
export { RejectedPolicy } from './matcher.ts';
export { CompiledPolicy } from './network_policy.ts';
export {
  type DiscoveryRequest,
  type DiscoveryResponse,
  decodeDiscoveryRequest,
  decodeDiscoveryResponse,
  decodeNetworkPolicy,
  encodeDiscoveryRequest,
  encodeDiscoveryResponse,
  encodeNetworkPolicy,
  encodeSecretsResponse,
  type HeaderMatch,
  type HeaderMatcher,
  type HttpNetworkPolicyRule,
  type HttpNetworkPolicyRules,
  NETWORK_POLICY_TYPE_URL,
  type NetworkPolicy,
  type PortNetworkPolicy,
  type PortNetworkPolicyRule,
  SECRET_TYPE_URL,
  type Secret,
  type StringMatcher,
  type TlsContextConfig,
} from './npds.ts';
export { httpRulesToNpds } from './npds_rules.ts';
export type { FilterVerdict } from './port_rules.ts';
export {
  type AccessLog,
  type HttpAccessLog,
  isHttpLog,
  type KafkaAccessLog,
  type PolicyAnswer,
  type ProxyAction,
  type ProxyConnection,
  type Side,
  type SocketAddress,
} from './protocol.ts';
export { EnvoyProxy } from './proxy.ts';
export { type PolicyRequest, RequestHeaderMap } from './request_header_map.ts';
export type { L7Parser } from './sessions.ts';
export { ClientHelloReader, type Inspection } from './tls/client_hello.ts';
export { checkSecret } from './tls/secrets.ts';
