import { AUTH_INFO, AUTH_KEY, NODE_KEY, NODE_VALUE, NULL } from '@ciliate/maps';
import type { Datapath } from '../datapath.ts';
import { noteLookup } from '../explain.ts';
import { CTX_ACT_OK } from './common.ts';
import { DROP_NO_NODE_ID, DROP_POLICY_AUTH_REQUIRED } from './drop_reasons.ts';
import { sendSignalAuthRequired } from './signal.ts';

const FAMILY_IPV4 = 1;
/** Times in cilium_auth_map are in units of 2^9 ns. */
const UTIME_UNIT = 512;

/**
 * auth_lookup: have the two identities authenticated each other? If not, the agent is asked to see to it.
 * @param remoteNode be32 address of the remote's node, 0 = this node
 * @returns CTX_ACT_OK, DROP_POLICY_AUTH_REQUIRED or DROP_NO_NODE_ID. Source: bpf/lib/auth.h
 */
export function authLookup(dp: Datapath, local: number, remote: number, remoteNode: number, authType: number): number {
  const m = dp.memory;
  const { authKey, nodeKey } = dp.stack;
  let nodeId = 0;
  if (remoteNode !== 0) {
    m.u32[nodeKey >> 2] = FAMILY_IPV4 << 24;
    m.u32[(nodeKey + NODE_KEY.ip4) >> 2] = remoteNode;
    const node = dp.nodes.lookup(nodeKey);
    if (dp.steps !== null) noteLookup(dp, dp.nodes, nodeKey, node);
    nodeId = node === NULL ? 0 : m.u16[(node + NODE_VALUE.id) >> 1]!;
    if (nodeId === 0) return DROP_NO_NODE_ID;
  }
  m.u32[(authKey + AUTH_KEY.local_sec_label) >> 2] = local;
  m.u32[(authKey + AUTH_KEY.remote_sec_label) >> 2] = remote;
  m.u16[(authKey + AUTH_KEY.remote_node_id) >> 1] = nodeId;
  m.u8[authKey + AUTH_KEY.auth_type] = authType;
  const info = dp.auth.lookup(authKey);
  if (dp.steps !== null) noteLookup(dp, dp.auth, authKey, info);
  if (info !== NULL) {
    const low = m.u32[(info + AUTH_INFO.expiration) >> 2]!;
    const high = m.u32[(info + AUTH_INFO.expiration + 4) >> 2]!;
    if ((dp.nowSeconds() * 1e9) / UTIME_UNIT < high * 2 ** 32 + low) return CTX_ACT_OK;
  }
  sendSignalAuthRequired(dp, authKey, AUTH_KEY.size);
  return DROP_POLICY_AUTH_REQUIRED;
}
