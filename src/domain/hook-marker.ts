/** GitLab never tells a hook's token; so the hook itself says, in its description, which secret it was given. */
export const HOOK_NAME = 'forgeflow';
/** A header of every request of a hook of ours; its value is the id of our row. */
export const HOOK_HEADER = 'X-Forgeflow-Hook';

/** @param secretId UUID */
export function hookDescription(secretId: string): string {
  return `Installed by forgeflow; secret ${secretId}`;
}

const MARKER = /\bInstalled by forgeflow; secret ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\b/i;

/** The secret that a description speaks of, also where somebody wrote more around it. */
export function secretIdIn(description: string | null | undefined): string | undefined {
  return MARKER.exec(description ?? '')?.[1]?.toLowerCase();
}
