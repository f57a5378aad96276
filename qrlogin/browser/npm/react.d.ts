// For JSX in React 19: `import "qrlogin-elements/react";`
import type { DetailedHTMLProps, HTMLAttributes } from "react";
import type { Properties as ApproveProperties, QRApproveElement } from "./qr-approve-element.js";
import type { Properties as LoginProperties, QRLoginElement } from "./qr-login-element.js";
import type { ApproveDone, ApproveState, LoginRedeemed, LoginState } from "./index.js";

type Of<Element, Properties, Events> = DetailedHTMLProps<HTMLAttributes<Element>, Element> &
  Partial<Properties> & Partial<Events>;

type LoginEvents = {
  "onqr-login-state": (event: CustomEvent<LoginState>) => void;
  "onqr-login-redeemed": (event: CustomEvent<LoginRedeemed>) => void;
};
type ApproveEvents = {
  "onqr-approve-state": (event: CustomEvent<ApproveState>) => void;
  "onqr-approve-done": (event: CustomEvent<ApproveDone>) => void;
};

declare module "react" {
  namespace JSX {
    interface IntrinsicElements {
      "qr-login": Of<QRLoginElement, LoginProperties, LoginEvents>;
      "qr-approve": Of<QRApproveElement, ApproveProperties, ApproveEvents>;
    }
  }
}
