import { compareRun, play, type StepResult } from '../runner.ts';
import type { Scenario } from '../scenario.ts';
import { CiliumNode, type CiliumObjects } from './cilium_node.ts';

/**
 * Plays a scenario through Cilium's own programs, and compares as `runScenario` does. @throws VmError, BpfInputError if they
 * cannot play it
 */
export const runScenarioWithObjects = (scenario: Scenario, objects: CiliumObjects): StepResult[] =>
  compareRun(scenario, play(scenario, new CiliumNode(scenario, objects)));
