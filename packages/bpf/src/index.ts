export { cilFromHost, cilFromNetdev, cilToHost, cilToNetdev } from './bpf_host.ts';
export { cilFromContainer, cilLxcPolicy, cilToContainer } from './bpf_lxc.ts';
export { cilFromOverlay } from './bpf_overlay.ts';
export {
  configOfDefines,
  type DatapathConfig,
  DEFAULT_CONFIG,
  DEFAULT_NODE,
  type MonitorAggregation,
  type NodeConfig,
  type Words,
} from './config.ts';
export type { CiliumObjects } from './conformance/objects/cilium_node.ts';
export { runScenarioWithObjects } from './conformance/objects/opinion.ts';
export { type Outcome, pathOf, runScenario, type StepResult } from './conformance/runner.ts';
export type { Scenario } from './conformance/scenario.ts';
export { World } from './conformance/world.ts';
export { Datapath, type DatapathOptions, type EndpointProgram } from './datapath.ts';
export {
  parseVector,
  type VectorAnswer,
  type VectorCase,
  type VectorLookup,
} from './engines/conformance/vector.ts';
export { type Disagreement, type VectorResult, VectorRunner } from './engines/conformance/vector_runner.ts';
export {
  ANSWER,
  type EngineAnswer,
  type EngineDefinition,
  type EngineEntry,
  type EngineKey,
  FRAGMENT,
  type PolicyEngine,
  type PolicyReader,
  QUESTION,
  readAnswer,
  writeAnswer,
  writeQuestion,
} from './engines/engine.ts';
export { BpfInputError } from './engines/input_error.ts';
export { type Difference, findDifferences, pairsWithout } from './engines/profiles/differences.ts';
export type { Profile } from './engines/profiles/profile.ts';
export { PROFILES, profileByName } from './engines/profiles/profiles.ts';
export type { PolicyQuestion } from './engines/profiles/question.ts';
export type { Policy, Rule } from './engines/profiles/random_policies.ts';
export { Reference, type ReferenceAnswer } from './engines/reference.ts';
export { ENGINES, engineByName } from './engines/registry.ts';
export { underProgram } from './engines/under_program.ts';
export {
  type DebugCaptureStep,
  type DebugStep,
  type Decision,
  isDecision,
  type MapStep,
  type Step,
  type StepSink,
} from './explain.ts';
export { collectGarbage, collectOrphanNat, ShardCollector } from './gc.ts';
export {
  CTX_ACT_DROP,
  CTX_ACT_OK,
  CTX_ACT_REDIRECT,
  identityMark,
  MARK_MAGIC_HOST_MASK,
  MARK_MAGIC_PROXY_EGRESS,
  MARK_MAGIC_PROXY_INGRESS,
  MARK_MAGIC_TO_PROXY,
  ntohs,
} from './lib/common.ts';
export { DebugNotifications } from './lib/dbg.ts';
export { DROP_POLICY, DROP_POLICY_DENY, dropReason } from './lib/drop_reasons.ts';
export { jhash3Words, jhashTuple6 } from './lib/jhash.ts';
export { PolicyVerdict, policyCanAccess } from './lib/policy.ts';
export { createDatapathMaps, type DatapathMapsOptions, openPinned, shardMapName } from './maps.ts';
export { Skb } from './skb.ts';
