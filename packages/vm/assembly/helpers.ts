/*
 * AssemblyScript, not TypeScript: the hot helpers once more, for translated programs, which call them as WebAssembly calls WebAssembly.
 * Names say the helper's number. Built by build.ts; src/helpers/ says what they mean, and test/helpers_code.property.test.ts
 * holds one against the other.
 */
export { helper_25 } from './events';
export { helper_2, helper_3 } from './maps';
export { helper_9, helper_10, helper_11, helper_26, helper_28, helper_32, helper_39 } from './packet';
