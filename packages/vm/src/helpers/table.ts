import { ADJUST_ROOM } from './adjust_room.ts';
import { CHECKSUM_HELPERS } from './checksum_helpers.ts';
import type { HelperTable } from './helper.ts';
import { MAP_HELPERS } from './map_helpers.ts';
import { REDIRECT_HELPERS } from './redirect_helpers.ts';
import { SKB_HELPERS } from './skb_helpers.ts';
import { SYSTEM_HELPERS } from './system_helpers.ts';
import { TUNNEL_HELPERS } from './tunnel_helpers.ts';
import { XDP_HELPERS } from './xdp_helpers.ts';

/** The helpers for tc and XDP, by number. Tail calls (12) are the back ends' own. */
export const HELPERS: HelperTable = new Map(
  [
    ...MAP_HELPERS,
    ...SYSTEM_HELPERS,
    ...CHECKSUM_HELPERS,
    ...SKB_HELPERS,
    ADJUST_ROOM,
    ...TUNNEL_HELPERS,
    ...XDP_HELPERS,
    ...REDIRECT_HELPERS,
  ].map((helper) => [helper.id, helper]),
);
