import { createPrivateKey, X509Certificate } from 'node:crypto';
import { RejectedPolicy } from '../matcher.ts';
import type { Secret, TlsContextConfig } from '../npds.ts';

/** All that one side of TLS is made of; texts are PEM. */
export interface TlsMaterials {
  /** What this side shows of itself; both or neither. */
  readonly certificateChain: string | undefined;
  readonly privateKey: string | undefined;
  /** Who may have signed what the other side must then show; undefined: it need not show anything. */
  readonly trustedCa: string | undefined;
  /** What the proxy asks a server for; undefined: for the name that the client asked for. */
  readonly serverName: string | undefined;
  /** Protocols inside TLS, the best first; none: not spoken of. */
  readonly alpnProtocols: readonly string[];
}

/** What a rule says about TLS on one side. Its secrets may come, change and go meanwhile. */
export interface TlsContext {
  /** @returns undefined while a secret is not there: the connection cannot be had then */
  materials(): TlsMaterials | undefined;
}

/** The secrets that were delivered, by name. */
export class Secrets {
  #byName: ReadonlyMap<string, Secret> = new Map();
  /** Counts deliveries. */
  #version = 0;

  /** Puts these and no others into force. @throws RejectedPolicy that names the secret and what is wrong with it */
  replace(secrets: readonly Secret[]): void {
    const byName = new Map<string, Secret>();
    for (const secret of secrets) {
      checkSecret(secret);
      byName.set(secret.name, secret);
    }
    this.#byName = byName;
    this.#version++;
  }

  /**
   * Of the connection of a client: what the proxy shows to it.
   * @throws RejectedPolicy Source: cilium/secret_watcher.cc
   */
  downstream(config: TlsContextConfig, at: string): TlsContext {
    if (!config.tlsSdsSecret && !config.certificateChain) throw new RejectedPolicy(`${at}: missing certificate chain`);
    if (config.validationContextSdsSecret || config.trustedCa)
      throw new RejectedPolicy(`${at}: certificates of clients are not modelled yet`);
    return this.#context(config, at);
  }

  /** Of the connection to the server: whom the proxy takes for it. @throws RejectedPolicy */
  upstream(config: TlsContextConfig, at: string): TlsContext {
    if (!config.validationContextSdsSecret && !config.trustedCa) throw new RejectedPolicy(`${at}: missing trusted CA`);
    if ((config.serverNames?.length ?? 0) > 1) throw new RejectedPolicy(`${at}: more than one server name`);
    return this.#context(config, at);
  }

  #context(config: TlsContextConfig, at: string): TlsContext {
    const { tlsSdsSecret, certificateChain, privateKey, validationContextSdsSecret, trustedCa } = config;
    if (!tlsSdsSecret && certificateChain) checkPair({ certificateChain, privateKey }, at);
    if (!validationContextSdsSecret && trustedCa) checkCertificates(trustedCa, `${at}.trusted_ca`);
    const rest = { serverName: config.serverNames?.[0], alpnProtocols: config.alpnProtocols ?? [] };
    const gather = (): TlsMaterials | undefined => {
      const pair = tlsSdsSecret ? this.#byName.get(tlsSdsSecret)?.tlsCertificate : { certificateChain, privateKey };
      const ca = validationContextSdsSecret
        ? this.#byName.get(validationContextSdsSecret)?.validationContext
        : { trustedCa };
      if (pair === undefined || ca === undefined) return undefined;
      // The wire has no absent texts, only empty ones.
      return {
        certificateChain: pair.certificateChain || undefined,
        privateKey: pair.privateKey || undefined,
        trustedCa: ca.trustedCa || undefined,
        ...rest,
      };
    };
    let version = -1;
    let materials: TlsMaterials | undefined;
    return {
      materials: () => {
        if (version !== this.#version) {
          version = this.#version;
          materials = gather();
        }
        return materials;
      },
    };
  }
}

/** @throws RejectedPolicy what is wrong with a secret */
export function checkSecret({ name, tlsCertificate, validationContext }: Secret): void {
  if (!name) throw new RejectedPolicy('secret: it has no name');
  const at = `secret ${name}`;
  if (tlsCertificate !== undefined) checkPair(tlsCertificate, at);
  if (validationContext !== undefined) checkCertificates(validationContext.trustedCa ?? '', `${at}.trusted_ca`);
  if (tlsCertificate === undefined && validationContext === undefined)
    throw new RejectedPolicy(`${at}: neither a certificate nor a validation context`);
}

interface Pair {
  readonly certificateChain?: string | undefined;
  readonly privateKey?: string | undefined;
}

function checkPair({ certificateChain, privateKey }: Pair, at: string): void {
  if (!certificateChain) throw new RejectedPolicy(`${at}: missing certificate chain`);
  if (!privateKey) throw new RejectedPolicy(`${at}: missing private key`);
  const [own] = checkCertificates(certificateChain, `${at}.certificate_chain`);
  if (!own!.checkPrivateKey(privateKeyOf(privateKey, `${at}.private_key`)))
    throw new RejectedPolicy(`${at}: the private key is not that of the certificate`);
}

function privateKeyOf(pem: string, at: string): ReturnType<typeof createPrivateKey> {
  try {
    return createPrivateKey(pem);
  } catch (error) {
    throw new RejectedPolicy(`${at}: no private key in PEM`, { cause: error });
  }
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** @returns at least one */
function checkCertificates(pem: string, at: string): X509Certificate[] {
  const texts = pem.match(CERTIFICATE);
  if (texts === null) throw new RejectedPolicy(`${at}: no certificate in PEM`);
  try {
    return texts.map((text) => new X509Certificate(text));
  } catch (error) {
    throw new RejectedPolicy(`${at}: a certificate that cannot be read`, { cause: error });
  }
}
