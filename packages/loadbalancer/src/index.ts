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
export {
  type Backend,
  type Frontend,
  type ServiceEntry,
  ServiceError,
  ServiceIds,
  serviceEntries,
} from './services.ts';
