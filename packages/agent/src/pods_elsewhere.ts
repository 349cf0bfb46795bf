import { type IpIdentityPair, prefixOf } from '@ciliate/identity';
import type { ObjectStore, Pod } from '@ciliate/k8s';
import type { Labels } from '@ciliate/labels';
import { formatIp, type IpAddress, isIpv6, parseIp } from '@ciliate/packet';
import { addressesOf, namedPortsOf, podName } from './endpoint.ts';
import { AgentError } from './errors.ts';
import type { Families } from './families.ts';
import { nodeOf, tunnelAddressOf } from './nodes.ts';

/** A pod on another node: no program of this one runs at its interface, but its address has an identity, behind a tunnel. */
export interface PodElsewhere {
  readonly pod: Pod;
  readonly labels: Labels;
  /** Of its node: where tunnels to it end. */
  readonly hostIp: IpAddress;
}

/** Of what an address tells, as other agents would tell it. */
type Told = Map<string, IpIdentityPair | undefined>;

/**
 * Where a pod is, for an agent that was told which node it is on: here (undefined), or behind the node with this address.
 * A pod that does not say is here.
 * @throws AgentError BAD_INPUT if nothing says where its node is
 */
export function hostOfPod(store: ObjectStore, pod: Pod, localName: string): IpAddress | undefined {
  const { nodeName } = pod.spec;
  const hosts = pod.status.hostIPs.map((text) => parseIp(text)!);
  if (nodeName === localName) return undefined;
  if (nodeName === undefined) {
    const own = (nodeOf(store, localName)?.addresses ?? []).map(({ ip }) => parseIp(ip));
    if (hosts.length === 0 || hosts.some((host) => own.includes(host))) return undefined;
  }
  const node = nodeName === undefined ? undefined : nodeOf(store, nodeName);
  const hostIp = (node && tunnelAddressOf(node.addresses)) ?? hosts.find((host) => !isIpv6(host)) ?? hosts[0];
  if (hostIp !== undefined) return hostIp;
  const problem = `${podName(pod.metadata)} is on the node ${nodeName}, whose address nothing says`;
  throw AgentError.ofField(pod, 'spec.nodeName', `${problem}: describe the node, or give the pod a hostIP`);
}

/** The pods of other nodes that objects describe, with the identities that this agent took for them. */
export class PodsElsewhere {
  readonly #pods = new Map<string, PodElsewhere & { readonly identity: number; readonly keys: readonly string[] }>();
  readonly #families: Families;

  constructor(families: Families) {
    this.#families = families;
  }

  /** `namespace/name` of each. */
  get names(): Iterable<string> {
    return this.#pods.keys();
  }

  get(name: string): { readonly labels: Labels; readonly identity: number } | undefined {
    return this.#pods.get(name);
  }

  /** Notes what its addresses tell from now on. @param now undefined: it is gone */
  set(name: string, now: (PodElsewhere & { readonly identity: number }) | undefined, told: Told): void {
    // Another pod may have told already that the address is its own now.
    for (const key of this.#pods.get(name)?.keys ?? []) told.set(key, told.get(key));
    if (now === undefined) {
      this.#pods.delete(name);
      return;
    }
    const { pod, identity, hostIp } = now;
    const { ipv4, ipv6 } = this.#families;
    const addresses = addressesOf(pod).filter((address) => (isIpv6(address) ? ipv6 : ipv4));
    const { namespace, name: podName } = pod.metadata;
    const who = { identity, hostIp, encryptKey: 0, metadata: '', namespace, podName, namedPorts: namedPortsOf(pod) };
    for (const address of addresses) told.set(formatIp(address), { prefix: prefixOf(address), ...who });
    this.#pods.set(name, { ...now, keys: addresses.map(formatIp) });
  }
}
