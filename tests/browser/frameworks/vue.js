import { createApp, ref } from "vue/dist/vue.esm-bundler.js";

const app = createApp({
  setup() {
    const count = ref(0), there = ref(true), heard = ref("");
    const onRedeemed = (event) => {
      event.preventDefault();
      heard.value = event.detail.body.token;
    };
    return { count, there, heard, onRedeemed };
  },
  template: `
    <qr-login v-if="there" src="/qrlogin/" start="manual" :picture="false" :next="null"
      :csrf-header="undefined" :title="'rendered ' + count"
      @qr-login:state="heard = $event.detail.state" @qr-login-redeemed="onRedeemed"></qr-login>
    <button id="rerender" @click="count++">Render again</button>
    <button id="remount" @click="there = !there">Mount or unmount</button>
    <output id="heard">{{ heard }}</output>`,
});
app.config.compilerOptions.isCustomElement = (tag) => tag.startsWith("qr-");
app.mount("#app");
