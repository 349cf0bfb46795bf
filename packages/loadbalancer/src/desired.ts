import type { Service } from '@ciliate/k8s';
import { addressText, BACKEND_STATE, SERVICE_FLAG } from '@ciliate/maps';
import { bytesOfAddress, isIpv6, isUnspecified, type L3n4Addr } from './address.ts';
import { type BackendParams, selectBackends } from './backends.ts';
import type { LoadBalancerConfig } from './config.ts';
import { type FrontendParams, type FrontendType, frontendsOf } from './frontends.ts';

/** A prefix of clients; what follows the prefix in the address is as written. */
export interface SourceRange {
  readonly address: Uint8Array;
  readonly bits: number;
}

/** The same for two prefixes that are one in the map. */
export const rangeText = ({ address, bits }: SourceRange): string => `${addressText(address)}/${bits}`;

/** All that the maps shall hold of a frontend, but for the numbers that are given out. */
export interface DesiredFrontend {
  readonly frontend: FrontendParams;
  /** Bits of SERVICE_FLAG. */
  readonly flags: number;
  /** 0 none of its own, 1 random, 2 Maglev. */
  readonly algorithm: number;
  /** Seconds; undefined: clients need not come to the same backend again. */
  readonly affinityTimeout: number | undefined;
  /** In the order of the slots. */
  readonly backends: readonly BackendParams[];
  /** So many of them, from the first, new connections may get. */
  readonly count: number;
  /** Is there a Maglev table? */
  readonly isMaglev: boolean;
  readonly sourceRanges: readonly SourceRange[];
}

const TYPE_FLAGS: Readonly<Record<FrontendType, number>> = {
  ClusterIP: 0,
  NodePort: SERVICE_FLAG.nodePort,
  LoadBalancer: SERVICE_FLAG.loadBalancer,
  ExternalIPs: SERVICE_FLAG.externalIPs,
};
const ALGORITHM_NUMBERS: Readonly<Record<string, number>> = { random: 1, maglev: 2 };
const ALGORITHM = 'service.cilium.io/lb-algorithm';
const RANGES_POLICY = 'service.cilium.io/src-ranges-policy';
const NO_ALGORITHM = 0;
const MAGLEV = 2;

/** What Cilium would write for a service, in the order of the numbers. @param backends all of the service */
export const desiredFrontends = (
  service: Service,
  backends: readonly BackendParams[],
  config: LoadBalancerConfig,
): DesiredFrontend[] =>
  frontendsOf(service, config).map((frontend) => desiredFrontend(service, frontend, backends, config));

/** Terminating backends get connections only where no active one is left. Source: pkg/loadbalancer/reconciler, updateFrontend */
function desiredFrontend(
  { spec, metadata: { annotations } }: Service,
  frontend: FrontendParams,
  backends: readonly BackendParams[],
  config: LoadBalancerConfig,
): DesiredFrontend {
  const selected = selectBackends(backends, spec, frontend, config);
  const active = selected.filter(({ state }) => state === BACKEND_STATE.active).length;
  const algorithm = config.algorithmAnnotation
    ? (ALGORITHM_NUMBERS[annotations[ALGORITHM] ?? ''] ?? NO_ALGORITHM)
    : NO_ALGORITHM;
  return {
    frontend,
    flags: flagsOf(spec, annotations[RANGES_POLICY]?.toLowerCase() === 'deny', frontend, config),
    algorithm,
    affinityTimeout: spec.sessionAffinity?.timeoutSeconds,
    backends: selected,
    count: active === 0 ? selected.length : active,
    isMaglev: usesMaglev(frontend, algorithm, config),
    sourceRanges: sourceRangesOf(spec.loadBalancerSourceRanges, frontend),
  };
}

function flagsOf(
  spec: Service['spec'],
  isDeny: boolean,
  frontend: FrontendParams,
  { externalClusterIP }: LoadBalancerConfig,
): number {
  const { type } = frontend;
  const isExtLocal = spec.externalTrafficPolicy === 'Local';
  const isIntLocal = spec.internalTrafficPolicy === 'Local';
  const isRoutable = !isUnspecified(frontend) && (type !== 'ClusterIP' || externalClusterIP);
  const on: (readonly [boolean, number])[] = [
    [isExtLocal, SERVICE_FLAG.extLocalScope],
    [isIntLocal, SERVICE_FLAG.intLocalScope],
    [isExtLocal !== isIntLocal && type !== 'ClusterIP', SERVICE_FLAG.twoScopes],
    [spec.sessionAffinity !== undefined, SERVICE_FLAG.sessionAffinity],
    [isRoutable, SERVICE_FLAG.routable],
    [spec.loadBalancerSourceRanges.length > 0, SERVICE_FLAG.sourceRange],
    [isDeny, SERVICE_FLAG.sourceRangeDeny],
  ];
  return on.reduce((flags, [is, flag]) => (is ? flags | flag : flags), TYPE_FLAGS[type]);
}

/** Nobody comes from outside to the wildcard, nor to a cluster address unless that is switched on. Source: useMaglev */
function usesMaglev(
  frontend: FrontendParams,
  algorithm: number,
  { algorithm: byDefault, externalClusterIP }: LoadBalancerConfig,
): boolean {
  if (isUnspecified(frontend)) return false;
  if (algorithm !== NO_ALGORITHM) return algorithm === MAGLEV;
  return byDefault === 'maglev' && (frontend.type !== 'ClusterIP' || externalClusterIP);
}

/** Those of the frontend's family. */
const sourceRangesOf = (prefixes: readonly string[], frontend: L3n4Addr): SourceRange[] =>
  prefixes.flatMap((prefix) => {
    const [text = '', bits] = prefix.split('/');
    const address = bytesOfAddress(text);
    return isIpv6({ address }) === isIpv6(frontend) ? [{ address, bits: Number(bits) }] : [];
  });
