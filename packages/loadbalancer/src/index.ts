export { SERVICE_NAME_LABEL, slicesOfPods } from './backends.ts';
export { ALGORITHMS, type Algorithm, DEFAULT_LOAD_BALANCER_CONFIG, type LoadBalancerConfig } from './config.ts';
export { type Backend, type Frontend, receiversOf, type ServiceEntry } from './entries.ts';
export { LoadBalancerError, type LoadBalancerErrorCode, ServiceError } from './errors.ts';
export type { FrontendType } from './frontends.ts';
export {
  DEFAULT_MAGLEV_SEED,
  DEFAULT_MAGLEV_SIZE,
  MAGLEV_SIZES,
  type MaglevBackend,
  type MaglevSeeds,
  maglevPermutation,
  maglevSeeds,
  maglevTable,
  maglevText,
} from './maglev/maglev.ts';
export { murmur3 } from './maglev/murmur3.ts';
export { ServiceManager } from './service_manager.ts';
