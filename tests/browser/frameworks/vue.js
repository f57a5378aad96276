import { createApp, ref } from "vue/dist/vue.esm-bundler.js";

const phone = location.pathname.startsWith("/qr/"); // which of the two pages this is
const app = createApp({
  setup() {
    const count = ref(0), there = ref(true), heard = ref("");
    const onRedeemed = (event) => {
      event.preventDefault();
      heard.value = event.detail.body.token;
    };
    return { phone, count, there, heard, onRedeemed };
  },
  template: `
    <qr-login v-if="there && !phone" src="/qrlogin/" start="manual" :picture="false" :next="null"
      :csrf-header="undefined" :title="'rendered ' + count"
      @qr-login:state="heard = $event.detail.state" @qr-login-redeemed="onRedeemed"></qr-login>
    <qr-approve v-if="there && phone" src="/qrlogin/phone/" at="/qr" :typed="false" :home="null"
      :csrf-header="undefined" :code="null" :account="count ? 'Alice' : null"
      :title="'rendered ' + count" @qr-approve:state="heard = $event.detail.state"
      @qr-approve-done="heard = 'done ' + $event.detail.decision"></qr-approve>
    <button id="rerender" @click="count++">Render again</button>
    <button id="remount" @click="there = !there">Mount or unmount</button>
    <output id="heard">{{ heard }}</output>`,
});
app.config.compilerOptions.isCustomElement = (tag) => tag.startsWith("qr-");
app.mount("#app");
