/// <reference path="./hydrogen-view-sdk.d.ts" />
import { createNavigation, createRouter, FeatureSet, Platform, RootViewModel } from 'hydrogen-view-sdk';

// The whole of Hydrogen, from its login screen on. Without Olm, which is loaded for encrypted rooms only.
const container = document.querySelector('#app');
const platform = new Platform({
  container,
  assetPaths: { downloadSandbox: '/assets/download-sandbox.html', worker: '/assets/main.js', serviceWorker: '/sw.js' },
  config: { defaultHomeServer: new URLSearchParams(location.search).get('homeserver') },
  options: { development: false },
});
const navigation = createNavigation();
platform.setNavigation(navigation);
await platform.init();
const urlRouter = createRouter({ navigation, history: platform.history });
urlRouter.attach();
const features = await FeatureSet.load(platform.settingsStorage);
const root = new RootViewModel({ platform, navigation, urlRouter, features });
await root.load();
platform.createAndMountRootView(root);
