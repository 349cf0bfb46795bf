/**
 * What a program did with one packet, for people: recorded only while `Datapath.steps` is an array, so that the hot
 * path pays one test for null. Addresses and ports are numbers in host order.
 */
interface Endpointed {
  /** Endpoint id of the program that took the step. */
  endpoint: number;
}

export type Step = Endpointed &
  (
    | {
        kind: 'service';
        frontend: { address: number; port: number };
        backend: { id: number; address: number; port: number };
        /** Was the choice read from conntrack (true) or made now? */
        known: boolean;
      }
    | { kind: 'reverse-nat'; from: { address: number; port: number }; to: { address: number; port: number } }
    | { kind: 'conntrack'; direction: 'egress' | 'ingress'; status: 'new' | 'established' | 'reply' | 'related' }
    | { kind: 'identity'; address: number; identity: number; found: boolean }
    | {
        kind: 'policy';
        direction: 'egress' | 'ingress';
        remoteIdentity: number;
        protocol: number;
        dport: number;
        /** 0, or the negated drop code. */
        verdict: number;
        /** Proxy port, 0 = no redirect. */
        proxyPort: number;
        matchType: number;
        /** Address of the chosen entry's value in the policy map, 0 = none matched. */
        entry: number;
      }
    | { kind: 'local-delivery'; to: number }
    | { kind: 'to-proxy'; port: number }
    | { kind: 'to-endpoint' }
    | { kind: 'to-stack' }
    | { kind: 'to-overlay'; vni: number; remote: number }
    | { kind: 'to-network'; ifindex: number }
    | { kind: 'drop'; code: number; text: string }
  );
