import protobuf from 'protobufjs';

/**
 * The messages of NPDS and of the discovery protocol that carries it, with the field numbers of the wire.
 *
 * Fields that the filter does not model are named here all the same: a field that the schema lacks would be skipped in
 * silence, one that it has can be refused by name. Messages of which only the presence matters are left empty.
 * Source: cilium/proxy npds.proto; envoy.config.route.v3.HeaderMatcher, envoy.type.matcher.v3, envoy.service.discovery.v3;
 * envoy.extensions.transport_sockets.tls.v3.Secret.
 */
const SCHEMA = `
syntax = "proto3";
package cilium;

message NetworkPolicy {
  repeated string endpoint_ips = 1;
  uint64 endpoint_id = 2;
  repeated PortNetworkPolicy ingress_per_port_policies = 3;
  repeated PortNetworkPolicy egress_per_port_policies = 4;
}
enum Protocol { TCP = 0; UDP = 1; }
message PortNetworkPolicy {
  uint32 port = 1;
  Protocol protocol = 2;
  repeated PortNetworkPolicyRule rules = 3;
  uint32 end_port = 4;
}
message PortNetworkPolicyRule {
  uint32 pass_precedence = 1;
  string l7_proto = 2;
  TLSContext downstream_tls_context = 3;
  TLSContext upstream_tls_context = 4;
  string name = 5;
  repeated string server_names = 6;
  repeated uint32 remote_policies = 7;
  bool deny = 8;
  uint32 proxy_id = 9;
  uint32 precedence = 10;
  HttpNetworkPolicyRules http_rules = 100;
  KafkaNetworkPolicyRules kafka_rules = 101;
  Presence l7_rules = 102;
}
message Presence {}
message TLSContext {
  string trusted_ca = 1;
  string certificate_chain = 2;
  string private_key = 3;
  repeated string server_names = 4;
  string validation_context_sds_secret = 5;
  string tls_sds_secret = 6;
  repeated string alpn_protocols = 7;
}
message DataSource {
  oneof specifier {
    bytes inline_bytes = 2;
    string inline_string = 3;
  }
}
message TlsCertificate {
  DataSource certificate_chain = 1;
  DataSource private_key = 2;
}
message CertificateValidationContext { DataSource trusted_ca = 1; }
message Secret {
  string name = 1;
  TlsCertificate tls_certificate = 2;
  CertificateValidationContext validation_context = 4;
}
message KafkaNetworkPolicyRules { repeated KafkaNetworkPolicyRule kafka_rules = 1; }
message KafkaNetworkPolicyRule {
  int32 api_version = 1;
  repeated int32 api_keys = 2;
  string client_id = 3;
  string topic = 4;
}
message HttpNetworkPolicyRules { repeated HttpNetworkPolicyRule http_rules = 1; }
message HttpNetworkPolicyRule {
  repeated HeaderMatcher headers = 1;
  repeated HeaderMatch header_matches = 2;
}
message HeaderMatch {
  enum MatchAction { CONTINUE_ON_MATCH = 0; FAIL_ON_MATCH = 1; DELETE_ON_MATCH = 2; }
  enum MismatchAction {
    FAIL_ON_MISMATCH = 0;
    CONTINUE_ON_MISMATCH = 1;
    ADD_ON_MISMATCH = 2;
    DELETE_ON_MISMATCH = 3;
    REPLACE_ON_MISMATCH = 4;
  }
  string name = 1;
  string value = 2;
  MatchAction match_action = 3;
  MismatchAction mismatch_action = 4;
  string value_sds_secret = 5;
}
message HeaderMatcher {
  string name = 1;
  string exact_match = 4;
  Presence range_match = 6;
  bool present_match = 7;
  bool invert_match = 8;
  string prefix_match = 9;
  string suffix_match = 10;
  Presence safe_regex_match = 11;
  string contains_match = 12;
  StringMatcher string_match = 13;
  bool treat_missing_header_as_empty = 14;
}
message StringMatcher {
  oneof match_pattern {
    string exact = 1;
    string prefix = 2;
    string suffix = 3;
    RegexMatcher safe_regex = 5;
    string contains = 7;
    Presence custom = 8;
  }
  bool ignore_case = 6;
}
message RegexMatcher {
  Presence google_re2 = 1;
  string regex = 2;
}

message DiscoveryResponse {
  string version_info = 1;
  repeated Any resources = 2;
  string type_url = 4;
  string nonce = 5;
}
message DiscoveryRequest {
  string version_info = 1;
  string type_url = 4;
  string response_nonce = 5;
  Status error_detail = 6;
}
message Any {
  string type_url = 1;
  bytes value = 2;
}
message Status {
  int32 code = 1;
  string message = 2;
}
`;

const { root } = protobuf.parse(SCHEMA, new protobuf.Root());

/** A message as plain objects: only what was on the wire, numbers for 64-bit integers, names for enums. */
export function decodeMessage(name: string, bytes: Uint8Array): Record<string, unknown> {
  const type = root.lookupType(`cilium.${name}`);
  return type.toObject(type.decode(bytes), { longs: Number, enums: String });
}

/** The wire bytes of a message. */
export function encodeMessage(name: string, message: object): Uint8Array {
  const type = root.lookupType(`cilium.${name}`);
  return type.encode(type.fromObject(message)).finish();
}
