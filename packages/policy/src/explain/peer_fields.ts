import { cidrContains, type Label, type Labels, POD_NAMESPACE_LABEL, parseCidrKey } from '@ciliate/labels';
import { ENTITY_NAMES } from '../api/entity.ts';
import { namespaceOf } from '../rule_store.ts';
import { distinguish } from './distinguish.ts';
import type { PolicyData } from './policy_yaml.ts';

/** A list of peers as an entry of a policy has it: `fromEntities: [world]`. */
export type PeerFields = Readonly<Record<string, PolicyData>>;

const CIDR_GROUP_NAME = 'io.cilium.policy.cidrgroupname/';

/**
 * The ways to name a peer in an entry of a CiliumNetworkPolicy; the first is the one to take if several select as few
 * others. A pod is named by its labels; what is reserved by its entity; an address by its prefix, its group or its name.
 * @param namespace of the policy; '' if it is clusterwide
 * @param others all other known identities
 */
export function peerFieldsFor(
  peer: Labels,
  others: readonly Labels[],
  { egress, namespace }: { egress: boolean; namespace: string },
): PeerFields[] {
  const list = (name: string): string => `${egress ? 'to' : 'from'}${name}`;
  const found: PeerFields[] = [];
  const own = namespaceOf(peer);
  if (own !== '') {
    const inNamespace = own === namespace;
    const given = inNamespace ? [] : [peer.get(POD_NAMESPACE_LABEL)!];
    const rivals = inNamespace ? others.filter((labels) => namespaceOf(labels) === own) : others;
    found.push({ [list('Endpoints')]: [distinguish(peer, rivals, given) as PolicyData] });
  }
  const prefixes = prefixesOf(peer).sort((a, b) => b.prefix.length - a.prefix.length);
  if (prefixes[0] !== undefined) found.push(cidrField(prefixes[0], peer, others, list));
  for (const { source, key } of peer) {
    if (source === 'cidrgroup' && key.startsWith(CIDR_GROUP_NAME))
      found.push({ [list('CIDRSet')]: [{ cidrGroupRef: key.slice(CIDR_GROUP_NAME.length) }] });
    if (source === 'fqdn' && egress)
      found.push({ toFQDNs: [{ [key.includes('*') ? 'matchPattern' : 'matchName']: key }] });
  }
  for (const { source, key } of peer) {
    if (source === 'reserved' && ENTITY_NAMES.includes(key)) found.push({ [list('Entities')]: [key] });
  }
  return found;
}

const prefixesOf = (labels: Labels) =>
  [...labels].flatMap((label) => {
    const prefix = label.source === 'cidr' ? parseCidrKey(label.key) : undefined;
    return prefix === undefined ? [] : [{ label, prefix }];
  });

/** The prefix without those inside it that have identities of their own. */
function cidrField(
  { label, prefix }: ReturnType<typeof prefixesOf>[number],
  peer: Labels,
  others: readonly Labels[],
  list: (name: string) => string,
): PeerFields {
  const inside = others.flatMap((labels) => prefixesOf(labels)).filter((one) => cidrContains(prefix, one.prefix));
  const except = [
    ...new Set(inside.filter(({ label: { key } }) => !peer.has('cidr', key)).map((one) => textOf(one.label))),
  ];
  return except.length === 0
    ? { [list('CIDR')]: [textOf(label)] }
    : { [list('CIDRSet')]: [{ cidr: textOf(label), except: except.sort() }] };
}

/** In keys `-` stands for `:`. */
const textOf = ({ key }: Label): string => key.replaceAll('-', ':');
