/** Why a request of a user was refused; callers map it to exit codes and HTTP statuses. */
export type RefusalKind = 'invalid' | 'too_large' | 'not_found' | 'conflict';

/** A user's request that cannot be carried out as it stands: one sentence that names the field and the rule. Nothing was changed. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly kind: RefusalKind;
  /** The field of the input at fault, in the user's words (`url`, `pattern`); absent where no one field is. */
  readonly field: string | undefined;

  constructor(kind: RefusalKind, message: string, field?: string) {
    super(message);
    this.kind = kind;
    this.field = field;
  }
}

/** Bad input: the field's name and what is wrong with it become the sentence. */
export function invalid(field: string, problem: string): Refusal {
  return new Refusal('invalid', `${field}: ${problem}`, field);
}
