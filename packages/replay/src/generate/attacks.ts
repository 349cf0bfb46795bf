import { IPPROTO_TCP, IPV4, IPV6, type IpAddress, isIpv6, TCP_SYN } from '@ciliate/packet';
import type { Cast, Station, Target } from './cast.ts';
import type { FrameBuilder } from './frame.ts';
import type { Random } from './random.ts';

const TCP_BYTES = 20;
const PORTS = 1 << 16;
const LAST_SCANNED_PORT = 1024;
const FIRST_EPHEMERAL_PORT = 32_768;

/** SYNs from hosts of the world that do not exist to one place of the cluster, each a new connection. */
export class SynFlood {
  readonly victim: Target;
  readonly #cast: Cast;
  readonly #random: Random;

  constructor(cast: Cast, random: Random) {
    this.#cast = cast;
    this.#random = random;
    const ofIpv6 = cast.anyFamily();
    this.victim = cast.anyService(IPPROTO_TCP, ofIpv6, true) ?? cast.anyServer(IPPROTO_TCP, ofIpv6)!;
  }

  next(frame: FrameBuilder): Station {
    const { network } = this.#cast;
    const { address, port } = this.victim;
    frame.setMacs(network.mac, network.hop);
    const [source, sequence] = [1024 + this.#random.below(PORTS - 1024), this.#random.next()];
    frame.tcp(this.#cast.worldHost(isIpv6(address)), source, address, port, sequence, 0, TCP_SYN, synBytes(address));
    return network;
  }
}

/** One pod that sends a SYN to every other pod on port 1, then on port 2, up to 1024, and again. */
export class Scan {
  readonly scanner: Station;
  readonly #address: IpAddress;
  readonly #targets: IpAddress[];
  readonly #random: Random;
  #sent = 0;

  /** A pod that is alone scans one host of the world. */
  constructor(cast: Cast, random: Random) {
    this.#random = random;
    this.scanner = cast.anyPod();
    const ofIpv6 = cast.anyFamily(this.scanner);
    const suits = (address: IpAddress): boolean => isIpv6(address) === ofIpv6;
    this.#address = this.scanner.addresses.find(suits)!;
    this.#targets = cast.pods.flatMap((pod) => (pod === this.scanner ? [] : pod.addresses.filter(suits)));
    if (this.#targets.length === 0) this.#targets.push(cast.worldHost(ofIpv6));
  }

  next(frame: FrameBuilder): Station {
    const { scanner } = this;
    const count = this.#targets.length;
    const round = Math.floor(this.#sent / count);
    const port = 1 + (round % LAST_SCANNED_PORT);
    const source = FIRST_EPHEMERAL_PORT + (Math.floor(round / LAST_SCANNED_PORT) % FIRST_EPHEMERAL_PORT);
    frame.setMacs(scanner.mac, scanner.hop);
    const to = this.#targets[this.#sent % count]!;
    frame.tcp(this.#address, source, to, port, this.#random.next(), 0, TCP_SYN, synBytes(to));
    this.#sent++;
    return scanner;
  }
}

/** Bytes of the IP packet. */
const synBytes = (to: IpAddress): number => (isIpv6(to) ? IPV6.size : IPV4.size) + TCP_BYTES;
