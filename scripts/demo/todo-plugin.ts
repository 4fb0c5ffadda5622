/**
 * A plugin that reports every line with `TODO` in it: a shell script, since checks find no more than a plain system's
 * programs.
 */
const TODO = String.raw`
found=$(grep -rn TODO . --exclude=.forgeflow.yaml | sed -n 's|^\./\([^:]*\):\([0-9]*\):.*|{"ruleId":"todo","message":{"text":"this is left to do"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"\1"},"region":{"startLine":\2}}}]}|p' | paste -sd, -)
printf '{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"todo"}},"results":[%s]}]}' "$found" >"$FORGEFLOW_RESULT"
`;

/** A plugins file in which it is `todo`. */
export const TODO_PLUGINS = `version: 1\nplugins:\n  todo:\n    command: |\n${TODO.trim().replace(/^/gm, '      ')}\n`;
