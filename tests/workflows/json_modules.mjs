// Lets GitHub's packages load on Node 20: they import JSON files without saying that they are JSON.
import * as module from 'node:module';

const attribute = (url, context) =>
  url.endsWith('.json') ? {...context, importAttributes: {type: 'json'}} : context;

if (module.registerHooks) {
  module.registerHooks({load: (url, context, next) => next(url, attribute(url, context))});
} else {
  const source = `export const load = (url, context, next) =>
    next(url, (${attribute})(url, context));`;
  module.register(`data:text/javascript,${encodeURIComponent(source)}`);
}
