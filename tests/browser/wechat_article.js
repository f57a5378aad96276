// The source article's code, as it stands there. `t`, `i` and `$` are its page's.

function getUUID(){
var defer = t.defer();
$.ajax({url: i.API_jsLogin, dataType: 'script'}).done(function(){
if(window.QRLogin.code==200) defer.resolve(window.QRLogin.uuid);
else defer.reject(window.QRLogin.code);
}).fail(function(){ defer.reject(); });
return defer.promise;
}

function checkLogin(uuid, tip){
var defer = t.defer();
$.ajax({
url: i.API_login + '?loginicon=true&uuid=' + uuid + '&tip=' + (tip||0) + '&r=' + ~new Date,
dataType: 'script',
timeout: 35000
}).done(function(){
// handle JSONP response, extract code, redirect_uri, etc.
defer.resolve(window.code);
}).fail(function(){ defer.reject(); });
return defer.promise;
}

function handleStatus(c){
switch(c.code){
case 200:
// login confirmed, redirect to returned URL
window.location.href = c.redirect_uri;
break;
case 201:
// QR scanned, continue polling
break;
case 408:
// timeout, retry polling
break;
case 400:
case 500:
case 0:
// error handling, possibly refresh QR code
break;
// other cases omitted for brevity
}
}
