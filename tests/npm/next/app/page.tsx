"use client";

import { useEffect } from "react";
import "qrlogin-elements/react";

export default function Page() {
  useEffect(() => { import("qrlogin-elements"); }, []);
  return <qr-login src="/qrlogin/" next="/account"><a href="/password">Password</a></qr-login>;
}
