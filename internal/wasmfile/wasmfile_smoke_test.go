package wasmfile
import ("testing";"os";"path/filepath";"strings")
func TestSmoke(t *testing.T){
 fs,_:=filepath.Glob("/root/go/pkg/mod/github.com/tetratelabs/wazero@v1.12.0/internal/integration_test/spectest/v*/testdata/*.wasm")
 ok,bad:=0,map[string]int{}
 for _,p:=range fs { b,_:=os.ReadFile(p); _,err:=Parse(b); if err==nil{ok++}else{ s:=err.Error(); if i:=strings.LastIndex(s,": ");i>0{s=s[i:]};bad[s]++; if bad[s]==1 {t.Log(p,err)}}}
 t.Log(ok,bad)
}
func TestWalk(t *testing.T){
 fs,_:=filepath.Glob("/root/go/pkg/mod/github.com/tetratelabs/wazero@v1.12.0/internal/integration_test/spectest/*/testdata/*.wasm")
 ok,bad:=0,map[string]int{}
 for _,p:=range fs { b,_:=os.ReadFile(p); f,err:=Parse(b); if err==nil{
   for i:=range f.Code { w:=f.Body(i); var in Instr; for w.Next(&in){}; if err:=w.Err();err!=nil { s:=err.Error(); if i:=strings.LastIndex(s,": ");i>0{s=s[i:]};bad[s]++; if bad[s]==1 {t.Log(p,err)}} else {ok++} } }}
 t.Log(ok,bad)
}
