export { LoadBalancerError, type LoadBalancerErrorCode, ServiceError } from './errors.ts';
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
export { type Backend, type Frontend, type ServiceEntry, ServiceIds, serviceEntries } from './services.ts';
