import { isIP, type Socket } from 'node:net';
import { checkServerIdentity, connect, createSecureContext, type SecureContext, TLSSocket } from 'node:tls';
import type { UpstreamFailure } from '../responses.ts';
import type { TlsMaterials } from '../tls/secrets.ts';

/** How long a client may take for its part of the handshake. */
const HANDSHAKE_TIMEOUT_MS = 15_000;

/** Made once for what does not change. */
const contexts = new WeakMap<TlsMaterials, SecureContext>();

function contextOf(materials: TlsMaterials): SecureContext {
  let context = contexts.get(materials);
  if (context === undefined) {
    const { certificateChain: cert, privateKey: key, trustedCa: ca } = materials;
    context = createSecureContext({ minVersion: 'TLSv1.2', cert, key, ca });
    contexts.set(materials, context);
  }
  return context;
}

/** Protocols inside TLS are only spoken of if there are any. */
const alpnOf = ({ alpnProtocols }: TlsMaterials): { ALPNProtocols?: string[] } =>
  alpnProtocols.length === 0 ? {} : { ALPNProtocols: [...alpnProtocols] };

/**
 * Ends a client's TLS. Whoever has listened to the socket listens to the one that is returned from now on.
 * @param first the first bytes of TLS, read off the socket already
 */
export function endTls(socket: Socket, materials: TlsMaterials, first: Uint8Array): TLSSocket {
  socket.pause();
  socket.unshift(first);
  const tls = new TLSSocket(socket, {
    ...{ isServer: true, secureContext: contextOf(materials) },
    ...alpnOf(materials),
  });
  const timer = setTimeout(() => tls.destroy(), HANDSHAKE_TIMEOUT_MS);
  tls.once('secure', () => clearTimeout(timer));
  tls.once('close', () => clearTimeout(timer));
  socket.on('error', () => tls.destroy()); // told by the close of the other
  return tls;
}

/**
 * Begins TLS with a server, which must show a certificate that the trusted CA signed, with the name that the client asked
 * for, if it did. `secureConnect` says that it has.
 * @param socket may still be connecting
 */
export function beginTls(socket: Socket, materials: TlsMaterials, asked: string | undefined): TLSSocket {
  const name = materials.serverName ?? asked;
  return connect({
    ...{ socket, secureContext: contextOf(materials), rejectUnauthorized: true },
    ...alpnOf(materials),
    // RFC 6066 has no addresses there.
    ...(name !== undefined && isIP(name) === 0 && { servername: name }),
    checkServerIdentity: (_host, certificate) => {
      if (asked === undefined) return undefined;
      if (certificate.subjectaltname === undefined) return new Error('the certificate has no subject alternative name');
      return checkServerIdentity(asked, certificate);
    },
  });
}

const VERIFY_FAILED = '268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED';

/** Why there is no TLS with a server that could be reached, as near to Envoy's words as another library can be. */
export function tlsFailure(error: Error): UpstreamFailure {
  const { library, reason, code } = error as { library?: string; reason?: string; code?: string };
  if (code === 'ECONNRESET') return 'connection termination';
  // What OpenSSL itself says has a library; all else that Node says is about certificates.
  const said = library === undefined ? VERIFY_FAILED : `${code}:${reason}`;
  return `remote connection failure, transport failure reason: TLS_error:|${said}:TLS_error_end`;
}
