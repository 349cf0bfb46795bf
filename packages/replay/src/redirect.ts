import type { Step } from '@ciliate/bpf';

export type Redirect = Extract<Step, { kind: 'policy' }>;

/** The decision that sent a packet to the proxy. @param steps of such a packet */
export const redirectOf = (steps: readonly Step[]): Redirect =>
  steps.findLast((step) => step.kind === 'policy' && step.proxyPort > 0) as Redirect;
