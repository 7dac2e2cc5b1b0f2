// The package has no types. What the page needs of it:
declare module 'hydrogen-view-sdk' {
  export class Platform {
    constructor(options: {
      container: Element | null;
      assetPaths: Readonly<Record<string, string>>;
      config: Readonly<Record<string, unknown>>;
      options: { development: boolean };
    });
    readonly history: unknown;
    readonly settingsStorage: unknown;
    init(): Promise<void>;
    setNavigation(navigation: unknown): void;
    createAndMountRootView(root: RootViewModel): void;
  }
  export const FeatureSet: { load(settingsStorage: unknown): Promise<unknown> };
  export class RootViewModel {
    constructor(options: { platform: Platform; navigation: unknown; urlRouter: unknown; features: unknown });
    load(): Promise<void>;
  }
  export function createNavigation(): unknown;
  export function createRouter(options: { navigation: unknown; history: unknown }): { attach(): void };
}
