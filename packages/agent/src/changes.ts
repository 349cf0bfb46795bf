import type { CiliumCIDRGroup, ObjectOf, ObjectStore, PolicyObject, WatchEvent } from '@ciliate/k8s';
import type { PolicyRef } from '@ciliate/policy';

/** Every kind of object that the agent watches. */
export const WATCHED_KINDS = [
  'Namespace',
  'Pod',
  'Service',
  'EndpointSlice',
  'Secret',
  'NetworkPolicy',
  'CiliumNetworkPolicy',
  'CiliumClusterwideNetworkPolicy',
  'CiliumCIDRGroup',
  'Node',
  'CiliumNode',
] as const satisfies Parameters<ObjectStore['watch']>[0];

/** Which objects changed since somebody last looked; what they are now is in the store. */
export class Changes {
  /** `namespace/name`. */
  readonly pods = new Set<string>();
  readonly namespaces = new Set<string>();
  /** Services or the EndpointSlices that speak of them. */
  services = false;
  /** Secrets, or policies, which name them. */
  secrets = false;
  /** By kind, namespace and name: the object, undefined if it is gone. */
  readonly policies = new Map<string, { readonly ref: PolicyRef; readonly object: PolicyObject | undefined }>();
  /** Names of nodes. */
  readonly nodes = new Set<string>();
  readonly cidrGroups = new Map<string, CiliumCIDRGroup | undefined>();

  note({ type, object }: WatchEvent<ObjectOf<(typeof WATCHED_KINDS)[number]>>): void {
    const { namespace, name } = object.metadata;
    switch (object.kind) {
      case 'Namespace':
        this.namespaces.add(name);
        break;
      case 'Pod':
        this.pods.add(`${namespace}/${name}`);
        break;
      case 'Service':
      case 'EndpointSlice':
        this.services = true;
        break;
      case 'Secret':
        this.secrets = true;
        break;
      case 'Node':
      case 'CiliumNode':
        this.nodes.add(name);
        break;
      case 'CiliumCIDRGroup':
        this.cidrGroups.set(name, type === 'deleted' ? undefined : object);
        break;
      default: {
        this.secrets = true;
        const ref = { kind: object.kind, namespace, name };
        this.policies.set(`${object.kind}/${namespace}/${name}`, {
          ref,
          object: type === 'deleted' ? undefined : object,
        });
      }
    }
  }
}
