/** A value out of bounds, with a code that programs tell it by. Each kind of it is a class with codes of its own. */
export class CodedError<Code extends string> extends RangeError {
  readonly code: Code;
  constructor(code: Code, message: string) {
    super(message);
    this.name = new.target.name;
    this.code = code;
  }
}
