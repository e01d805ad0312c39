// Formats numbers, dates and values for people.

const SPACE = "\u00a0"; // between a number and its unit, which stay on one line

const exact = new Intl.NumberFormat("en", { maximumFractionDigits: 20 });
const near = new Intl.NumberFormat("en", { maximumFractionDigits: 6 });
const moment = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });

export const number = (value) => exact.format(value);

/** Returns a share in percent, with enough digits that only 0 and 1 read as 0 % and 100 %. */
export function percent(share) {
  if (share === 0 || share === 1) return `${100 * share}${SPACE}%`;
  let digits = share < 0.01 ? 2 : 1;
  const text = () => (100 * share).toFixed(digits);
  while (digits < 9 && (Number(text()) === 0 || Number(text()) === 100)) digits += 1;
  return `${text()}${SPACE}%`;
}

export const points = (score) => String(Math.round(score));

export function signed(value, digits) {
  const text = Math.abs(value).toFixed(digits);
  return Number(text) === 0 ? text : `${value < 0 ? "−" : "+"}${text}`;
}

export const when = (iso) => moment.format(new Date(iso));

/** Returns a probability as "about 1 in 12", which is easier to judge. */
export function frequency(share) {
  if (share < 0.0005) return "fewer than 1 in 2,000";
  if (share > 0.995) return "more than 995 in 1,000";
  if (share > 0.2) return `about ${Math.round(100 * share)} in 100`;
  return `about 1 in ${number(Math.round(1 / share))}`;
}

/** Returns a category as a word: MORTGAGE as Mortgage; mixed case stays as it is. */
export const word = (text) =>
  /^[A-Z]{3,}$/.test(text) ? text[0] + text.slice(1).toLowerCase() : text;

export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** Returns a name from the contract as a heading: `loan_amount` as Loan amount. */
export const heading = (name) => capital(name.replaceAll("_", " "));

export const given = (raw) => raw !== null && raw !== undefined;

export function value(field, raw) {
  if (!given(raw)) return "not given";
  if (Array.isArray(raw)) return raw.length === 1 ? "1 line" : `${number(raw.length)} lines`;
  const plain = field ? truth(field, raw) : raw;
  if (typeof plain === "boolean") return plain ? "Yes" : "No";
  if (typeof plain === "number") {
    const text = near.format(plain);
    return field?.unit ? `${text}${SPACE}${field.unit}` : text;
  }
  return word(String(plain));
}

/** Returns a boolean field's value as true or false, and any other field's value unchanged. */
export function truth(field, raw) {
  if (field.type !== "boolean") return raw;
  if (field.trueValues?.includes(raw)) return true;
  if (field.falseValues?.includes(raw)) return false;
  return raw;
}

export const label = (field) => field.title || heading(field.name);
