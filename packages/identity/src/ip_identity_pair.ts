import { formatIp, type IpAddress, isIpv6, parseIp } from '@ciliate/packet';
import { IdentityError } from './errors.ts';
import type { NumericIdentity } from './numeric.ts';
import { addressOf, type Prefix, parsePrefix, prefixOf } from './prefixes/prefix.ts';

/** Where agents tell each other of addresses. The address space is always `default`. Source: pkg/ipcache/kvstore.go. */
export const IP_PREFIX = 'cilium/state/ip/v1/default/';

/** What an agent tells of one address, as a rule of a pod. */
export interface IpIdentityPair {
  readonly prefix: Prefix;
  /** The node that the address is on. */
  readonly hostIp: IpAddress | undefined;
  readonly identity: NumericIdentity;
  readonly encryptKey: number;
  /** `cilium-global:default:<node>:<endpoint id>` for an endpoint. */
  readonly metadata: string;
  /** '' if it is no pod's. */
  readonly namespace: string;
  readonly podName: string;
  readonly namedPorts: readonly {
    readonly name: string;
    readonly port: number;
    readonly protocol: 'TCP' | 'UDP' | 'SCTP';
  }[];
}

/** `10.0.0.1`, or `10.0.0.0/8` for more than one address. */
const keyName = (prefix: Prefix): string => {
  const address = addressOf(prefix);
  const isOne = prefix.length === (isIpv6(address) ? 128 : 32);
  return isOne ? formatIp(address) : `${formatIp(address)}/${prefix.length}`;
};

export const ipKey = (prefix: Prefix): string => IP_PREFIX + keyName(prefix);

/** The JSON that Cilium's agents write: named ports in the order of their names. Source: pkg/identity, IPIdentityPair. */
export function formatIpIdentityPair(pair: IpIdentityPair): string {
  const { prefix, hostIp, identity, encryptKey, metadata, namespace, podName } = pair;
  const namedPorts = [...pair.namedPorts]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name: Name, port: Port, protocol: Protocol }) => ({ Name, Port, Protocol }));
  return JSON.stringify({
    IP: formatIp(addressOf(prefix)),
    Mask: maskOf(prefix),
    HostIP: hostIp === undefined ? '' : formatIp(hostIp),
    ID: identity,
    Key: encryptKey,
    Metadata: metadata,
    ...(namespace !== '' && { K8sNamespace: namespace }),
    ...(podName !== '' && { K8sPodName: podName }),
    ...(namedPorts.length > 0 && { NamedPorts: namedPorts }),
  });
}

/** null for one address, else the mask's bytes in base64, as Go writes a net.IPMask. */
function maskOf({ family, length }: Prefix): string | null {
  const bytes = family === 4 ? 4 : 16;
  if (length === bytes * 8) return null;
  const mask = Uint8Array.from({ length: bytes }, (_, i) => 0xff00 >> Math.min(8, Math.max(0, length - i * 8)));
  return Buffer.from(mask).toString('base64');
}

const PROTOCOLS: ReadonlySet<unknown> = new Set(['TCP', 'UDP', 'SCTP']);

/**
 * Reads what stands under `key` (without {@link IP_PREFIX}). Named ports that make no sense are left out, as in Cilium.
 * @throws IdentityError INVALID
 */
export function parseIpIdentityPair(key: string, text: string): IpIdentityPair {
  const bad = (problem: string, cause?: unknown) =>
    new IdentityError('INVALID', `${IP_PREFIX}${key}: ${problem}`, {}, { cause });
  let fields: Record<string, unknown>;
  try {
    fields = Object(JSON.parse(text));
  } catch (cause) {
    throw bad('no JSON', cause);
  }
  const { IP, Mask, HostIP, ID, Key, Metadata, K8sNamespace, K8sPodName, NamedPorts } = fields;
  const address = parseIp(`${IP}`);
  if (address === undefined) throw bad(`IP: ${JSON.stringify(IP)} is no address`);
  const prefix = typeof Mask === 'string' ? parsePrefix(`${formatIp(address)}/${bitsOf(Mask)}`) : prefixOf(address);
  if (keyName(prefix) !== key) throw bad(`IP: found ${keyName(prefix)}, which is not the key`);
  const identity = Number(ID);
  if (!Number.isInteger(identity) || identity < 0 || identity > 0xffff_ffff) throw bad(`ID: found ${ID}`);
  return {
    ...{ prefix, identity, hostIp: parseIp(`${HostIP}`), encryptKey: Number(Key) || 0 },
    ...{ metadata: textOf(Metadata), namespace: textOf(K8sNamespace), podName: textOf(K8sPodName) },
    namedPorts: (Array.isArray(NamedPorts) ? NamedPorts : []).flatMap(({ Name, Port, Protocol }) =>
      typeof Name === 'string' && Number.isInteger(Port) && Port > 0 && Port < 65_536 && PROTOCOLS.has(Protocol)
        ? [{ name: Name, port: Port, protocol: Protocol }]
        : [],
    ),
  };
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

const bitsOf = (mask: string): number =>
  [...Buffer.from(mask, 'base64')].reduce((bits, byte) => bits + Math.clz32(~(byte << 24)), 0);
