import { decodeObjects, InputError, type PolicyObject } from '@ciliate/k8s';
import { NotModelledError } from '@ciliate/policy';

/**
 * A policy object as an agent takes it in from the API server: it ignores fields that it does not know.
 * @param where what positions in messages name as the file
 * @throws InputError for what no agent could decode, or what is no policy
 */
export function decodePolicy(raw: unknown, where: string): PolicyObject {
  const [object] = decodeObjects(JSON.stringify(raw), where, { unknownFields: 'ignore' });
  switch (object?.kind) {
    case 'NetworkPolicy':
    case 'CiliumNetworkPolicy':
    case 'CiliumClusterwideNetworkPolicy':
      return object;
    default:
      throw new InputError(`${where}: want a policy, found ${object?.kind ?? 'nothing'}`, { where });
  }
}

/** Why the engine does not take in what it is given. */
export interface Refused {
  readonly message: string;
  /** Cilium would take it in, and so might the engine one day. */
  readonly notModelled: boolean;
}

/** @returns undefined if the action does not refuse what the user wrote. Defects are thrown on. */
export function refusalOf(action: () => unknown): Refused | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'BAD_INPUT')) throw error;
    return { message: error.message, notModelled: error instanceof NotModelledError };
  }
}
