/**
 * Connection tracking as a plain state machine: a table of connections by the packet that opened them, without tuples,
 * flags or layouts. Written from the description in bpf/lib/conntrack.h, not from this project's programs.
 */

export type Direction = 'egress' | 'ingress';
export type Transport = 'tcp' | 'udp' | 'sctp' | 'icmp';
export type Status = 'new' | 'established' | 'reply' | 'related';
export type Scope = 'forward' | 'reverse' | 'bidir';

export interface ModelPacket {
  src: number;
  dst: number;
  transport: Transport;
  /** Of an echo request the identifier and 0, of its reply 0 and the identifier; of other ICMP 0 and 0. */
  sport: number;
  dport: number;
  /** ICMP that tells of an error. */
  isError: boolean;
  syn: boolean;
  fin: boolean;
  rst: boolean;
  bytes: number;
}

/** What whoever creates an entry says about the connection. */
export interface Facts {
  revNat: number;
  identity: number;
  proxy: boolean;
  nodePort: boolean;
  fromTunnel: boolean;
  backend: number;
}

export interface Connection {
  facts: Facts;
  packets: number;
  bytes: number;
  ends: number;
  closing: { rx: boolean; tx: boolean };
  seenNonSyn: boolean;
  /** Of FIN, SYN and RST, those seen in each direction; and when that was last reported. */
  seen: { rx: string; tx: string };
  reported: { rx: number; tx: number };
}

export interface Answer {
  status: Status;
  /** Is the packet worth a trace? */
  report: boolean;
  /** Of a connection that was found. */
  facts: Facts | undefined;
}

/** A report that never was, long before any time. */
export const NEVER = -1e9;
const REPORT_EVERY = 5;
const LIFETIME = { tcp: 8000, syn: 60, other: 60, closed: 10 };
const SERVICE_REBALANCE = 60;

type Side = Direction | 'service';

export class ConntrackModel {
  readonly connections = new Map<string, Connection>();
  now: number;
  readonly #accounting: boolean;

  constructor(now: number, accounting: boolean) {
    this.now = now;
    this.#accounting = accounting;
  }

  /** What does conntrack know of the packet? The opposite direction is asked first, if the scope has both. */
  lookup(packet: ModelPacket, direction: Direction, scope: Scope): Answer {
    let report = false;
    if (scope !== 'forward') {
      const back = this.#find(keyOf(reversed(packet), opposite(direction)), packet, direction);
      if (back !== undefined && !back.isNew)
        return { status: packet.isError ? 'related' : 'reply', report: back.report, facts: back.connection.facts };
      report = true;
      if (scope === 'reverse') return { status: 'new', report, facts: undefined };
    }
    const found = this.#find(keyOf(packet, direction), packet, direction);
    if (found === undefined || found.isNew) return { status: 'new', report: found?.report ?? true, facts: undefined };
    // Nothing else is said of a connection that has ended: what the first question answered stays.
    return {
      status: 'established',
      report: found.wasAlive ? found.report : found.report || report,
      facts: found.connection.facts,
    };
  }

  /** The choice of a backend that was made for this client and frontend, if it was made for this service. */
  lookupService(packet: ModelPacket, revNat: number): Answer {
    const entry = this.connections.get(keyOf(packet, 'service'));
    if (entry === undefined || entry.facts.revNat !== revNat) return { status: 'new', report: true, facts: undefined };
    const ended = entry.closing.rx || entry.closing.tx;
    if (packet.syn && ended && entry.reported.tx + SERVICE_REBALANCE <= this.now)
      return { status: 'new', report: true, facts: undefined };
    const found = this.#find(keyOf(packet, 'service'), packet, 'service')!;
    if (found.isNew) return { status: 'new', report: found.report, facts: undefined };
    return { status: 'reply', report: found.report, facts: found.connection.facts };
  }

  create(packet: ModelPacket, side: Side, facts: Facts, relate: boolean): void {
    const entry = (): Connection => {
      const connection: Connection = {
        facts,
        packets: 0,
        bytes: 0,
        ends: 0,
        closing: { rx: false, tx: false },
        seenNonSyn: false,
        seen: { rx: '', tx: '' },
        reported: { rx: NEVER, tx: NEVER },
      };
      const opening = { ...packet, syn: packet.transport === 'tcp', fin: false, rst: false };
      this.#keepAlive(connection, opening, side);
      return connection;
    };
    if (relate)
      this.connections.set(keyOf({ ...packet, transport: 'icmp', isError: true, sport: 0, dport: 0 }, side), entry());
    const own = entry();
    this.#count(own, packet);
    this.connections.set(keyOf(packet, side), own);
  }

  /** What the agent does from time to time. @returns how many connections went */
  collect(): number {
    let gone = 0;
    for (const [key, { ends }] of this.connections) {
      if (ends >= this.now) continue;
      this.connections.delete(key);
      gone++;
    }
    return gone;
  }

  #find(key: string, packet: ModelPacket, side: Side) {
    const connection = this.connections.get(key);
    if (connection === undefined) return undefined;
    const { closing } = connection;
    const wasAlive = !(closing.rx && closing.tx);
    let report = wasAlive && this.#keepAlive(connection, packet, side);
    this.#count(connection, packet);
    if (packet.fin || packet.rst) {
      if (side === 'service' || packet.rst) closing.rx = closing.tx = true;
      else if (side === 'ingress') closing.rx = true;
      else closing.tx = true;
      report = true;
      if (closing.rx && closing.tx) this.#extend(connection, packet, side, LIFETIME.closed);
    } else if (packet.syn && (closing.rx || closing.tx)) {
      closing.rx = closing.tx = connection.seenNonSyn = false;
      connection.seen = { rx: '', tx: '' };
      report = this.#keepAlive(connection, packet, side);
      return { connection, report, wasAlive, isNew: true };
    }
    return { connection, report, wasAlive, isNew: false };
  }

  #count(connection: Connection, packet: ModelPacket): void {
    if (!this.#accounting) return;
    connection.packets += 1;
    connection.bytes += packet.bytes;
  }

  #keepAlive(connection: Connection, packet: ModelPacket, side: Side): boolean {
    if (packet.transport !== 'tcp') return this.#extend(connection, packet, side, LIFETIME.other);
    connection.seenNonSyn ||= !packet.syn;
    return this.#extend(connection, packet, side, connection.seenNonSyn ? LIFETIME.tcp : LIFETIME.syn);
  }

  /** @returns whether the packet shall be reported: a flag is new, or more than REPORT_EVERY seconds have passed */
  #extend(connection: Connection, packet: ModelPacket, side: Side, seconds: number): boolean {
    connection.ends = this.now + seconds;
    const way = side === 'ingress' ? 'rx' : 'tx';
    const flags = new Set([
      ...connection.seen[way],
      ...(packet.fin ? 'F' : ''),
      ...(packet.syn ? 'S' : ''),
      ...(packet.rst ? 'R' : ''),
    ]);
    const seen = [...flags].sort().join('');
    if (seen === connection.seen[way] && this.now - connection.reported[way] <= REPORT_EVERY) return false;
    connection.seen[way] = seen;
    connection.reported[way] = this.now;
    return true;
  }
}

const opposite = (direction: Direction): Direction => (direction === 'egress' ? 'ingress' : 'egress');

const reversed = (packet: ModelPacket): ModelPacket => ({
  ...packet,
  src: packet.dst,
  dst: packet.src,
  sport: packet.dport,
  dport: packet.sport,
});

/** A connection is named by its first packet and the direction that was seen in. */
export const keyOf = ({ src, dst, sport, dport, transport, isError }: ModelPacket, side: Side): string =>
  `${side} ${transport}${isError ? ' error' : ''} ${src}:${sport} -> ${dst}:${dport}`;
