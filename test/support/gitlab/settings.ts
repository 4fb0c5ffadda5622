/** What the administrator of this GitLab has settled; a test may change it at any time. */
export interface Settings {
  /** Before 17.1 hooks have no name, description or custom headers. */
  version: string;
  /** Has group hooks. Without it this is the free edition, which does not know their endpoints. */
  premium: boolean;
  /** The enterprise edition without a licence: it takes group hooks through its API, and never sends anything to them. */
  unlicensed: boolean;
  /** How many hooks one owner may have. */
  hookLimits: { project: number; group: number };
  /** Whether hooks that go on failing are disabled; `alert_status` is always `executable` without it. */
  autoDisabling: boolean;
  /** Whether hooks may have URLs of the local network. GitLab's own default is false. */
  allowLocalNetwork: boolean;
  /** How long a hook's receiver may take. */
  webhookTimeoutMs: number;
}

export const DEFAULT_SETTINGS: Settings = {
  version: '18.5.1',
  premium: false,
  unlicensed: false,
  hookLimits: { project: 100, group: 50 },
  autoDisabling: true,
  allowLocalNetwork: true,
  webhookTimeoutMs: 10_000,
};

/** Whether this GitLab is of this version, such as `17.1`, or a newer one. */
export function isSince({ version }: Pick<Settings, 'version'>, since: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [sinceMajor = 0, sinceMinor = 0] = since.split('.').map(Number);
  return major > sinceMajor || (major === sinceMajor && minor >= sinceMinor);
}

export const hasGroupHookApi = ({ premium, unlicensed }: Settings): boolean => premium || unlicensed;
