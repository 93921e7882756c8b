/**
 * Options and values that belong to the design of Rowcall but not to this version. A person who writes
 * one is told so, instead of being sent to look for a typing error.
 */

/** Keys by section; list indexes are left out of a section's name. */
export const LATER_KEYS: Readonly<Record<string, readonly string[]>> = {
  checkpoint: ['path'],
  state: ['url'],
};

/** Values by option. */
export const LATER_VALUES: Readonly<Record<string, readonly string[]>> = {
  'checkpoint.type': ['file'],
  'state.type': ['mysql'],
};
