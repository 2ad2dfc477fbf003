import asyncHooks from 'node:async_hooks';

/**
 * Loaded before node:test, which follows every promise by hooks to know to which test it belongs. That is
 * a tenth of the work of all our tests. Without it node:test still knows where suites and tests stand;
 * an error that nothing catches fails the file instead of the test.
 */
const { createHook } = asyncHooks;
asyncHooks.createHook = (options) => createHook({ ...options, trackPromises: false });
