/** What all test files share: see the `provide` calls. */
export default function setup(): void {}
