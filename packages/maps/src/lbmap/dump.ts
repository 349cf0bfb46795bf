import { type Memory, NULL } from '../memory.ts';
import { openMap } from '../open_map.ts';
import { pinned } from '../pins.ts';
import { addressText, be16, hostPort, le16, le32, u8protoText } from '../text.ts';
import { SERVICE_FLAG as FLAG, LB_LOOKUP_SCOPE_INT } from './flags.ts';
import { LB4_BACKEND, LB4_KEY, LB4_REVERSE_NAT, LB4_SERVICE } from './layout.ts';
import { LB4_SRC_RANGE_KEY } from './layout_source_range.ts';
import { LB6_BACKEND, LB6_KEY, LB6_REVERSE_NAT } from './layout6.ts';

/** Bits of revnat id and padding in front of a source range's address. */
const SOURCE_RANGE_STATIC_BITS = 32;

const keyLayout = (key: Uint8Array) => (key.length === LB4_KEY.size ? LB4_KEY : LB6_KEY);
const keyAddress = (key: Uint8Array): Uint8Array => key.subarray(0, keyLayout(key).dport);
export const serviceSlot = (key: Uint8Array): number => le16(key, keyLayout(key).backend_slot);
const serviceFlags = (value: Uint8Array): number => le16(value, LB4_SERVICE.flags);

/** `10.96.0.80:80/TCP (0)`; the internal one of two scopes has `/i` behind the protocol. Source: pkg/maps/lbmap. */
export function serviceKeyText(key: Uint8Array): string {
  const layout = keyLayout(key);
  const scope = key[layout.scope] === LB_LOOKUP_SCOPE_INT ? '/i' : '';
  const frontend = hostPort(keyAddress(key), be16(key, layout.dport));
  return `${frontend}/${u8protoText(key[layout.proto]!)}${scope} (${serviceSlot(key)})`;
}

/** As `cilium-dbg bpf lb list --frontends` writes a value: `0 2[0] (1) [0x0 0x0]`. */
export function serviceValueText(value: Uint8Array): string {
  const union = le32(value, LB4_SERVICE.backend_id);
  const count = le16(value, LB4_SERVICE.count);
  const quarantined = le16(value, LB4_SERVICE.qcount);
  const flags = `0x${value[LB4_SERVICE.flags]!.toString(16)} 0x${value[LB4_SERVICE.flags2]!.toString(16)}`;
  return `${union} ${count}[${quarantined}] (${be16(value, LB4_SERVICE.rev_nat_index)}) [${flags}]`;
}

/**
 * As `cilium-dbg bpf lb list` writes an entry of a service: of slot 0 the kind, of others the backend.
 * @param backends values of the backend maps, both families, by id
 */
export function serviceEntryText(
  key: Uint8Array,
  value: Uint8Array,
  backends: ReadonlyMap<number, Uint8Array>,
): string {
  const revNat = be16(value, LB4_SERVICE.rev_nat_index);
  const slot = serviceSlot(key);
  const union = le32(value, LB4_SERVICE.backend_id);
  if (slot === 0) {
    const flags = serviceFlags(value);
    const isL7 = (flags & FLAG.l7LoadBalancer) !== 0;
    const extra = isL7 ? `(L7LB Proxy Port: ${be16(value, LB4_SERVICE.l7_lb_proxy_port)})` : '';
    const any = key.length === LB4_KEY.size ? '0.0.0.0' : '[::]';
    return `${any}:0 (${revNat}) (0) [${serviceFlagsText(flags)}] ${extra}`;
  }
  const backend = backends.get(union);
  if (backend === undefined) return `backend ${union} not found`;
  const { address, port, protocol } = readBackend(backend);
  return `${hostPort(address, port)}/${u8protoText(protocol)} (${revNat}) (${slot})`;
}

export function serviceFlagsText(flags: number): string {
  const has = (bit: number): boolean => (flags & bit) !== 0;
  const isDeny = has(FLAG.sourceRange) && has(FLAG.sourceRangeDeny);
  const type = serviceType(flags);
  const words: [boolean, string][] = [
    [true, type],
    [has(FLAG.extLocalScope), 'Local'],
    [has(FLAG.intLocalScope), 'InternalLocal'],
    [has(FLAG.twoScopes), 'two-scopes'],
    [has(FLAG.sessionAffinity), 'sessionAffinity'],
    [!has(FLAG.routable), 'non-routable'],
    [has(FLAG.sourceRange), 'check source-range'],
    [isDeny, 'deny'],
    [has(FLAG.nat46x64), '46x64'],
    [has(FLAG.l7LoadBalancer), 'l7-load-balancer'],
    [has(FLAG.loopback), type === 'HostPort' ? 'loopback' : 'delegate-if-local'],
    [!isDeny && has(FLAG.quarantined), 'quarantined'],
    [has(FLAG.fwdModeDSR), 'dsr'],
  ];
  return words.flatMap(([is, word]) => (is ? [word] : [])).join(', ');
}

function serviceType(flags: number): string {
  if ((flags & FLAG.externalIPs) !== 0) return 'ExternalIPs';
  if ((flags & FLAG.nodePort) !== 0) return 'NodePort';
  if ((flags & FLAG.loadBalancer) !== 0) return 'LoadBalancer';
  if ((flags & FLAG.hostPort) !== 0) return 'HostPort';
  return (flags & FLAG.localRedirect) !== 0 ? 'LocalRedirect' : 'ClusterIP';
}

/** Port host order. */
export function readBackend(value: Uint8Array): { address: Uint8Array; port: number; protocol: number } {
  const layout = value.length === LB4_BACKEND.size ? LB4_BACKEND : LB6_BACKEND;
  return {
    address: value.subarray(0, layout.port),
    port: be16(value, layout.port),
    protocol: value[layout.proto]!,
  };
}

/** As `cilium-dbg bpf lb list --backends` writes a value: without the port. */
export function backendText(value: Uint8Array): string {
  const layout = value.length === LB4_BACKEND.size ? LB4_BACKEND : LB6_BACKEND;
  const { address, protocol } = readBackend(value);
  const cluster = le16(value, layout.cluster_id);
  return `${u8protoText(protocol)}://${addressText(address)}${cluster === 0 ? '' : `@${cluster}`}`;
}

/** What clients know a service by: `10.96.0.80:80`. */
export function revNatText(value: Uint8Array): string {
  const layout = value.length === LB4_REVERSE_NAT.size ? LB4_REVERSE_NAT : LB6_REVERSE_NAT;
  return hostPort(value.subarray(0, layout.port), be16(value, layout.port));
}

/** `10.0.0.0/8 (1)`: who may use the service with this reverse NAT id from outside. */
export function sourceRangeText(key: Uint8Array): string {
  const bits = le32(key, LB4_SRC_RANGE_KEY.prefixlen) - SOURCE_RANGE_STATIC_BITS;
  const address = addressText(key.subarray(LB4_SRC_RANGE_KEY.addr));
  return `${address}/${bits} (${be16(key, LB4_SRC_RANGE_KEY.rev_nat_id)})`;
}

/** A service's lookup table: backend ids. */
export interface MaglevTable {
  revNatId: number;
  backends: Uint32Array;
}

/** The tables of one family, copied. Writer's thread, or when no worker runs. */
export function maglevTables(memory: Memory, ipv6: boolean): MaglevTable[] {
  const outer = pinned(memory, `cilium_lb${ipv6 ? 6 : 4}_maglev`);
  if (outer === NULL) return [];
  return [...openMap(memory, outer).entries()].map(({ key, value }) => {
    const inner = openMap(memory, value);
    const [slots] = inner.entries();
    const at = slots!.value >> 2;
    return { revNatId: memory.view.getUint16(key), backends: memory.u32.slice(at, at + (inner.spec.valueSize >> 2)) };
  });
}
