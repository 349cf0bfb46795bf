export { SERVICE_NAME_LABEL, slicesOfPods } from './backends.ts';
export { ALGORITHMS, type Algorithm, DEFAULT_LOAD_BALANCER_CONFIG, type LoadBalancerConfig } from './config.ts';
export type { Backend, Frontend, ServiceEntry } from './entries.ts';
export { LoadBalancerError, type LoadBalancerErrorCode, ServiceError } from './errors.ts';
export type { FrontendType } from './frontends.ts';
export {
  DEFAULT_BACKEND_WEIGHT,
  DEFAULT_MAGLEV_HASH_SEED,
  DEFAULT_MAGLEV_TABLE_SIZE,
  MAGLEV_TABLE_SIZES,
  type MaglevBackend,
  type MaglevOptions,
  type MaglevSeeds,
  maglevHashString,
  maglevPermutation,
  maglevTable,
  parseMaglevSeed,
} from './maglev.ts';
export { murmur3 } from './murmur3.ts';
export { ServiceManager } from './service_manager.ts';
