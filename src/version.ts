import packageJson from '../package.json' with { type: 'json' };

/** forgeflow's own version, as package.json says it; sent to receivers in `User-Agent`. */
export const VERSION = packageJson.version;
