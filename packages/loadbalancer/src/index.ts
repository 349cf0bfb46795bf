export { type Backend, type Frontend, type ServiceEntry, ServiceError, serviceEntries } from './services.ts';
