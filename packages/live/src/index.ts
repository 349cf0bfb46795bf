export { ApiClient } from './api_client.ts';
export { ApiServer } from './api_server.ts';
export { LiveCluster, type LiveClusterOptions, type PodAddresses } from './cluster.ts';
export { COMMAND_ANNOTATION, SERVER_ANNOTATION, type ServerDeclaration, serversOf } from './servers/declaration.ts';
export type { WorldHost } from './world.ts';
