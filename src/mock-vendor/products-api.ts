/** The products API: a call's path and method as what it does to the products. */
import type { ProductCall, ProductStore } from './product-store.ts';
import type { VendorApiDeps } from './vendor-api.ts';

export function executeOn(products: ProductStore): VendorApiDeps['execute'] {
  return ({ method, path, body }, settings) => {
    const call = toProductCall(method, path, body);
    if (call === null) return null;
    const { answer, touched } = products.execute(call, settings);
    if (touched === null) return { answer, applied: false };
    const onFirst = () => {
      touched.appliedKeys += 1;
    };
    return { answer, applied: true, onFirst };
  };
}

function toProductCall(method: string, path: string, body: string | null): ProductCall | null {
  if (path === '/products') return method === 'POST' ? { method, id: null, body } : null;
  if (method !== 'PATCH' && method !== 'DELETE') return null;
  const segment = path.slice('/products/'.length);
  if (segment === '' || segment.includes('/')) return null;
  if (!segment.includes('%')) return { method, id: segment, body };
  try {
    return { method, id: decodeURIComponent(segment), body };
  } catch {
    return null;
  }
}
