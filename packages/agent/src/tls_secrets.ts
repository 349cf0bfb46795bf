import { checkSecret, RejectedPolicy, type Secret, type TlsContextConfig } from '@ciliate/envoy';
import type { Secret as K8sSecret, ObjectStore, PolicyObject, PortRule, SecretRef } from '@ciliate/k8s';
import { AgentError } from './errors.ts';

/** Where Cilium keeps copies of the secrets that policies name (`--policy-secrets-namespace`); the proxy sees only those. */
const SECRETS_NAMESPACE = 'cilium-secrets';

/** What the proxy calls a secret. Source: pkg/envoy/xds_server.go, namespacedNametoSyncedSDSSecretName. */
const syncedName = ({ namespace, name }: SecretRef): string => `${SECRETS_NAMESPACE}/${namespace}-${name}`;

/** TLS towards the client, with the certificate of a secret. */
export const downstreamTlsOf = (ref: SecretRef): TlsContextConfig => ({ tlsSdsSecret: syncedName(ref) });

/** TLS towards the server, which a CA of a secret must have signed. */
export const upstreamTlsOf = (ref: SecretRef): TlsContextConfig => ({ validationContextSdsSecret: syncedName(ref) });

type Use = 'terminatingTLS' | 'originatingTLS';

/** A field of a policy that names a secret. */
interface Mention {
  readonly object: PolicyObject;
  readonly path: string;
  readonly use: Use;
  readonly ref: SecretRef | undefined;
}

export interface SyncedSecrets {
  /** By name. */
  readonly secrets: readonly Secret[];
  /** What is wrong with those that are there; they are not among `secrets`. */
  readonly problems: readonly AgentError[];
  /** Those that are not there: connections that need them fail until they come. */
  readonly missing: readonly string[];
}

/** The secrets that policies name for TLS, as the proxy gets them. Source: operator policy secret sync; pkg/envoy/secretsync.go. */
export function syncedSecrets(store: ObjectStore): SyncedSecrets {
  const secrets = new Map<string, Secret>();
  const problems: AgentError[] = [];
  const missing: string[] = [];
  for (const mention of mentionsIn(store)) {
    try {
      const found = secretFor(mention, store);
      if (typeof found === 'string') missing.push(found);
      else secrets.set(found.name, found);
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      problems.push(error);
    }
  }
  const sorted = [...secrets.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  return { secrets: sorted, problems, missing };
}

/** @returns what is missing, if it is not there @throws AgentError: it cannot be used for this */
function secretFor({ object, path, use, ref }: Mention, store: ObjectStore): Secret | string {
  if (ref === undefined) throw AgentError.ofField(object, path, 'names no secret');
  const secret = store.get({ kind: 'Secret', ...ref });
  if (secret === undefined) {
    const hint = ref.namespace === '' ? ' (it is looked for by the namespace written here, and there is none)' : '';
    return `${object.kind} ${object.metadata.name}: ${path}: there is no Secret ${ref.namespace}/${ref.name}${hint}`;
  }
  const synced = toEnvoySecret(secret);
  const wanted = use === 'terminatingTLS' ? 'tlsCertificate' : 'validationContext';
  if (synced?.[wanted] === undefined) throw AgentError.ofField(secret, 'data', faultOf(secret, use));
  try {
    checkSecret(synced);
  } catch (error) {
    if (!(error instanceof RejectedPolicy)) throw error;
    throw AgentError.ofField(secret, 'data', error.message, { cause: error });
  }
  return synced;
}

function faultOf({ data }: K8sSecret, use: Use): string {
  if (use === 'terminatingTLS') return 'neither tls.crt nor tls.key, which terminatingTLS needs';
  return data['ca.crt'] === undefined
    ? 'no ca.crt, which originatingTLS needs'
    : 'ca.crt does not count beside tls.crt or tls.key: originatingTLS needs a secret without those';
}

/** Source: pkg/envoy/secretsync.go, k8sToEnvoySecret. */
function toEnvoySecret({ metadata, data }: K8sSecret): Secret | undefined {
  const name = syncedName(metadata);
  const text = (key: string): string => Buffer.from(data[key] ?? '', 'latin1').toString();
  if (data['tls.crt'] || data['tls.key'])
    return { name, tlsCertificate: { certificateChain: text('tls.crt'), privateKey: text('tls.key') } };
  return data['ca.crt'] ? { name, validationContext: { trustedCa: text('ca.crt') } } : undefined;
}

function mentionsIn(store: ObjectStore): Mention[] {
  const policies = [...store.list('CiliumNetworkPolicy'), ...store.list('CiliumClusterwideNetworkPolicy')];
  return policies.flatMap((object) => {
    const { spec, specs } = object;
    const all = [
      ...(spec === undefined ? [] : [[spec, 'spec'] as const]),
      ...(specs ?? []).map((one, index) => [one, `specs[${index}]`] as const),
    ];
    return all.flatMap(([{ ingress, egress }, at]) =>
      Object.entries({ ingress: ingress ?? [], egress: egress ?? [] }).flatMap(([direction, rules]) =>
        rules.flatMap(({ toPorts }, index) =>
          (toPorts ?? []).flatMap((rule, of) =>
            mentionsOf(object, `${at}.${direction}[${index}].toPorts[${of}]`, rule),
          ),
        ),
      ),
    );
  });
}

const mentionsOf = (object: PolicyObject, at: string, rule: PortRule): Mention[] =>
  (['terminatingTLS', 'originatingTLS'] as const).flatMap((use) => {
    const context = rule[use];
    return context === undefined ? [] : [{ object, path: `${at}.${use}`, use, ref: context.secret }];
  });
