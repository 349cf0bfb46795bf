export {
  type Backend,
  type Frontend,
  type ServiceEntry,
  ServiceError,
  ServiceIds,
  serviceEntries,
} from './services.ts';
