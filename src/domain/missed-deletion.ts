/**
 * For how long GitLab must have answered that a repository is not there before it is taken for deleted, where no event has
 * told of it: a day, less what one daily run may come sooner than the one before. A right that our account has lost looks
 * the same, and is to be noticed and given back meanwhile.
 */
export const GONE_FOR_MS = 23 * 3_600_000;
