import { type Address, NULL } from '@ciliate/maps';
import { HELPERS, type Helper, type HelperTable, type Machine, SKB } from '@ciliate/vm';
import { hexOf } from '../addresses.ts';
import type { hostRoutes } from '../world.ts';

type Routes = ReturnType<typeof hostRoutes>;

const HELPER = {
  ...{ getTunnelKey: 20, setTunnelKey: 21, redirect: 23, changeType: 32 },
  ...{ fibLookup: 69, redirectNeigh: 152, redirectPeer: 155 },
} as const;
const AF_INET6 = 10;
const EINVAL = 22;
/** `struct bpf_fib_lookup`, and answers. Source: include/uapi/linux/bpf.h. */
const FIB = { family: 0, ifindex: 8, source: 16, destination: 32, smac: 52, dmac: 58 } as const;
const FIB_NOT_FWDED = 4;
const FIB_NO_NEIGH = 7;
/** `struct bpf_tunnel_key`: id u32, remote 16 bytes. */
const TUNNEL_KEY = { id: 0, remote: 4, end: 20 } as const;

export interface Redirect {
  helper: string;
  ifindex: number;
  flags: number;
  tcIndex: number;
}

/** Helpers that tell what a program asked the kernel for, and answer as a scenario's node would. */
export class Recorder {
  redirect: Redirect | undefined;
  /** What it set: `id to remote`. */
  tunnel: string | undefined;
  changeType: number | undefined;
  /** Of the packet that comes in. */
  tunnelIdIn: number | undefined;
  private readonly fib: Routes;

  constructor(fib: Routes) {
    this.fib = fib;
  }

  /** Before a packet. */
  reset(tunnelIdIn: number | undefined): void {
    this.redirect = undefined;
    this.tunnel = undefined;
    this.changeType = undefined;
    this.tunnelIdIn = tunnelIdIn;
  }

  /** `HELPERS`, some of them replaced. */
  helpers(): HelperTable {
    const table = new Map(HELPERS);
    const replace = (id: number, run: (base: Helper['run']) => Helper['run']): void => {
      const helper = table.get(id)!;
      table.set(id, { ...helper, run: run(helper.run) });
    };
    for (const [id, flagsAt] of [
      [HELPER.redirect, 1],
      [HELPER.redirectPeer, 1],
      [HELPER.redirectNeigh, 3],
    ] as const)
      replace(id, (base) => (machine, ...args) => {
        const tcIndex = machine.memory.u32[(machine.context + SKB.tcIndex) >> 2]!;
        this.redirect = { helper: HELPERS.get(id)!.name, ifindex: args[0]!, flags: args[flagsAt]!, tcIndex };
        return base(machine, ...args);
      });
    replace(HELPER.changeType, (base) => (machine, ...args) => {
      this.changeType = args[1]!;
      return base(machine, ...args);
    });
    replace(HELPER.getTunnelKey, () => ({ memory }, _skb, to, size) => {
      memory.u8.fill(0, to, to! + size!);
      if (this.tunnelIdIn === undefined) return -EINVAL;
      memory.view.setUint32(to! + TUNNEL_KEY.id, this.tunnelIdIn, true);
      return 0;
    });
    replace(HELPER.setTunnelKey, () => ({ memory }, _skb, from) => {
      const remote = memory.u8.subarray(from! + TUNNEL_KEY.remote, from! + TUNNEL_KEY.end);
      this.tunnel = `${memory.view.getUint32(from!, true)} to ${hexOf(remote)}`;
      return 0;
    });
    replace(HELPER.fibLookup, () => (machine, _context, params) => this.lookUpRoute(machine, params!));
    return table;
  }

  private lookUpRoute({ memory }: Machine, params: Address): number {
    const isV6 = memory.u8[params + FIB.family] === AF_INET6;
    const entry = this.fib({ isV6 }, params + FIB.source, params + FIB.destination);
    if (entry === undefined) return FIB_NOT_FWDED;
    memory.view.setUint32(params + FIB.ifindex, entry.ifindex, true);
    if (entry.dmac === NULL) return FIB_NO_NEIGH;
    memory.u8.copyWithin(params + FIB.smac, entry.smac, entry.smac + 6);
    memory.u8.copyWithin(params + FIB.dmac, entry.dmac, entry.dmac + 6);
    return 0;
  }
}
